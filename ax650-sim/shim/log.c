/*
 * The vendor's log functions that take a format: only C can define a function with a variable number of
 * arguments. They format, cut at what the vendor's buffer holds, and hand the line to Rust.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "shim.h"

/* The vendor's buffer, terminator included (axcl-runtime, host/runtime/axcl.cpp). */
enum { LINE_BYTES = 1024 };

/* The formats are the callers': the compiler cannot check them here. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

__attribute__((format(printf, 5, 0)))
static void log_line(enum ax650_sim_log_source source, int32_t level, const char *tag, uint32_t line, const char *format,
                     va_list arguments)
{
    char text[LINE_BYTES] = "";
    if (format != NULL && vsnprintf(text, sizeof text, format, arguments) >= 0) {
        ax650_sim_log_line(source, level, tag, line, text);
    }
}

void ax650_sim_app_log(int32_t level, const char *function, const char *file, uint32_t line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(AX650_SIM_LOG_AXCL, level, function != NULL ? function : file, line, format, arguments);
    va_end(arguments);
}

void ax650_sim_log_print(int32_t level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(AX650_SIM_LOG_SYS, level, NULL, 0, format, arguments);
    va_end(arguments);
}

void ax650_sim_log_print_ex(int32_t level, const char *tag, int id, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(AX650_SIM_LOG_SYS, level, tag, (uint32_t)id, format, arguments);
    va_end(arguments);
}

void ax650_sim_log_output(int32_t target, int32_t level, const char *format, va_list arguments)
{
    (void)target;
    log_line(AX650_SIM_LOG_SYS, level, NULL, 0, format, arguments);
}

void ax650_sim_log_output_ex(int32_t target, int32_t level, const char *tag, int id, const char *format,
                             va_list arguments)
{
    (void)target;
    log_line(AX650_SIM_LOG_SYS, level, tag, (uint32_t)id, format, arguments);
}
