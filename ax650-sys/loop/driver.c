/* What all drivers share. */
#include <stdlib.h>

#include "axl_ops.h"
#include "axl_status.h"

axl_status axl_driver_close(axl_driver *driver)
{
    if (driver == NULL) {
        return axl_ok();
    }
    if (driver->models != 0) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_driver_close: a model is still open");
    }
    const axl_status status = driver->ops->close(driver);
    free(driver);
    return status;
}

axl_status axl_driver_query(axl_driver *driver, axl_driver_info *info)
{
    return driver->ops->query(driver, info);
}

void axl_driver_stats(const axl_driver *driver, axl_stats *stats)
{
    *stats = driver->stats;
}

axl_status axl_driver_open_board(const ax_board_table *table, const axl_driver_options *options, axl_driver **out)
{
    if (table == NULL || options == NULL || out == NULL) {
        return axl_error(AXL_ERR_ARGUMENT, "axl_driver_open_board: NULL");
    }
    *out = NULL;
    return axl_error(AXL_ERR_UNSUPPORTED, "axl_driver_open_board");
}
