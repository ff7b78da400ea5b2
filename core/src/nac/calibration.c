/* calibration.c - conformal p-values, and the threshold that says the same without computing one. */
#include "nac/calibration.h"

#include <math.h>

int nac_compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double p_of_rank(size_t rank, size_t count) { return (double)(rank + 1) / (double)(count + 1); }

double nac_conformal_p(const float *sorted, size_t count, float score) {
    if (count == 0 || isnan(score)) return NAN;
    size_t low = 0, high = count; /* sorted[i] <= score for i < low, > score for i >= high */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] <= score)
            low = middle + 1;
        else
            high = middle;
    }
    return p_of_rank(low, count);
}

/* p depends on score through the rank r = #{sorted <= score} alone and grows with it, so p <= false_alarm holds for
 * the ranks below some R. Rank < R is the same as: the R-th smallest calibration score is still above `score`. That
 * score is the threshold; an image that ties with it is "in". Two ends:
 *   R = 0          1 / (n + 1) > false_alarm: so few images can convict nobody. t = 0, and no score is below.
 *   R = count + 1  false_alarm = 1: everybody is convicted. t is the next number above 1.
 * R is looked for with p's own arithmetic, not as floor(false_alarm * (n + 1)), whose rounding could differ. */
double nac_conformal_threshold(const float *sorted, size_t count, double false_alarm) {
    if (count == 0) return NAN;
    size_t low = 0, high = count + 1; /* p_of_rank(r) <= false_alarm for r < low, not for r >= high */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p_of_rank(middle, count) <= false_alarm)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return 0.0;
    if (low == count + 1) return (double)nextafterf(1.0f, 2.0f);
    return (double)sorted[low - 1];
}
