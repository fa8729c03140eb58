/* The name under which programs for the vendor's SDK include the runtime. */
#include "axcl_engine.h"
#include "axcl_rt.h"
