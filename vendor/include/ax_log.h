/*
 * AX_SYS log functions that take a va_list. Apart from ax_sys.h because a va_list is another type on every
 * architecture, and the bindings are one file for all.
 *
 * Our own declarations. Source of the facts: Axera AX650N BSP SDK V1.45.0_P39, msp/out/include/ax_sys_log.h;
 * the form without tag from the header of a sister chip's SDK, and exported here too.
 */
#ifndef AX650_VENDOR_AX_LOG_H
#define AX650_VENDOR_AX_LOG_H

#include <stdarg.h>

#include "ax_base.h"

#ifdef __cplusplus
extern "C" {
#endif

AX_VOID AX_SYS_LogOutput(AX_LOG_TARGET_E target, AX_LOG_LEVEL_E level, const AX_CHAR *format, va_list arguments);
AX_VOID AX_SYS_LogOutput_Ex(AX_LOG_TARGET_E target, AX_LOG_LEVEL_E level, const AX_CHAR *tag, int id,
                            const AX_CHAR *format, va_list arguments);

#ifdef __cplusplus
}
#endif

#endif
