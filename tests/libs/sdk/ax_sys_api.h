/* The name under which programs for the vendor's SDK include it. */
#include "ax_sys.h"
