/* The C of the software card: log functions with a variable number of arguments. */
#ifndef AX650_SIM_SHIM_H
#define AX650_SIM_SHIM_H

#include <stdarg.h>
#include <stdint.h>

/* Whose levels a line uses: AXCL counts from trace 0 to critical 5, AX_SYS from emergency 0 to debug 7. */
enum ax650_sim_log_source { AX650_SIM_LOG_AXCL = 0, AX650_SIM_LOG_SYS = 1 };

/* In Rust. The tag may be NULL; both strings are read during the call. */
void ax650_sim_log_line(enum ax650_sim_log_source source, int32_t level, const char *tag, uint32_t line,
                        const char *text);

/* axclAppLog */
__attribute__((format(printf, 5, 6)))
void ax650_sim_app_log(int32_t level, const char *function, const char *file, uint32_t line, const char *format, ...);
/* AX_SYS_LogPrint and AX_SYS_LogPrint_Ex */
__attribute__((format(printf, 2, 3)))
void ax650_sim_log_print(int32_t level, const char *format, ...);
__attribute__((format(printf, 4, 5)))
void ax650_sim_log_print_ex(int32_t level, const char *tag, int id, const char *format, ...);
/* AX_SYS_LogOutput and AX_SYS_LogOutput_Ex; there is one target here */
__attribute__((format(printf, 3, 0)))
void ax650_sim_log_output(int32_t target, int32_t level, const char *format, va_list arguments);
__attribute__((format(printf, 5, 0)))
void ax650_sim_log_output_ex(int32_t target, int32_t level, const char *tag, int id, const char *format,
                             va_list arguments);

#endif
