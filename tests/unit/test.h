/* test.h - all a C test needs: ENSURE, ENSURE_NEAR, RUN, and a count at the end.
 *
 *   static void test_something(void) { ENSURE(1 + 1 == 2); }
 *   int main(void) { RUN(test_something); return TEST_RESULT(); }
 *
 * A failed ENSURE reports file, line and expression, marks the running test failed and leaves that test. */
#ifndef NAC_TEST_H
#define NAC_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

static int test_passed, test_failed;
static jmp_buf test_leave;

static inline void test_fail(const char *file, int line, const char *what) {
    printf("%s:%d: %s\n", file, line, what);
    longjmp(test_leave, 1);
}

#define ENSURE(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "failed: " #condition))

/* |a - b| <= tolerance; NaN fails. */
#define ENSURE_NEAR(a, b, tolerance)                                                            \
    do {                                                                                        \
        double a_ = (a), b_ = (b), t_ = (tolerance);                                            \
        if (!(fabs(a_ - b_) <= t_)) {                                                           \
            char text_[256];                                                                    \
            snprintf(text_, sizeof text_, "%s = %.9g, %s = %.9g, tolerance %.3g", #a, a_, #b, b_, t_); \
            test_fail(__FILE__, __LINE__, text_);                                               \
        }                                                                                       \
    } while (0)

/* A nac_status expression that must be NAC_OK, with the library's sentence when it is not. */
#define ENSURE_OK(expression, error)                                                  \
    do {                                                                              \
        if ((expression) != NAC_OK) test_fail(__FILE__, __LINE__, (error)->message);  \
    } while (0)

#define RUN(test)                              \
    do {                                       \
        if (setjmp(test_leave) == 0) {         \
            test();                            \
            ++test_passed;                     \
        } else {                               \
            printf("FAILED %s\n", #test);      \
            ++test_failed;                     \
        }                                      \
    } while (0)

/* The driver adds these lines up. */
#define TEST_RESULT() (printf("%d passed, %d failed\n", test_passed, test_failed), test_failed != 0)

#endif
