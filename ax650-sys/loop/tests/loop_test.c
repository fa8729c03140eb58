/* Tests of the loop that want a compiler's sanitizers; run.sh builds and runs them. */
#include "support.h"

int main(void)
{
    make_files();
    test_steps();
    test_paths();
    test_costs();
    test_chunks();
    test_rows();
    test_failures();
    test_models();
    test_drivers();
    remove_files();
    puts("loop: all tests passed");
    return 0;
}
