/* calibration.h - conformal p-values against sorted held-out scores. */
#ifndef NAC_CALIBRATION_H
#define NAC_CALIBRATION_H

#include "base/base.h"

/* For qsort. NaN must not be among the values. */
int nac_compare_floats(const void *a, const void *b);

/* (1 + #{sorted <= score}) / (count + 1), NaN for a NaN score or count 0. O(log count). */
double nac_conformal_p(const float *sorted, size_t count, float score);

/* The threshold t for which, over all scores in [0, 1],  score < t  <=>  nac_conformal_p(score) <= false_alarm. */
double nac_conformal_threshold(const float *sorted, size_t count, double false_alarm);

#endif
