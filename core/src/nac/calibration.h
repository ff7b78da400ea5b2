/* calibration.h - conformal p-values against held-out scores: against all of them, and against those of one predicted class. */
#ifndef NAC_CALIBRATION_H
#define NAC_CALIBRATION_H

#include "base/base.h"

/* A class has p-values of its own from count * false_alarm >= 4 on. 1 / false_alarm - 1 images would do for a p that can be so
 * small, but with so few the share that the threshold really flags is anything: over calibration sets its standard deviation is
 * sqrt(f (1 - f) / count), here at most half of f. */
enum { NAC_CLASS_FALSE_ALARMS = 4 };

/* Held-out scores; all zeroes (and NaN rates) when there are none. */
typedef struct nac_calibration {
    size_t count;
    float *scores;     /* [count], ascending */
    uint32_t *classes; /* [count], predicted class of every score, ascending where scores are equal; NULL when not known */
    double false_alarm, threshold;
    /* The same pairs, class by class. */
    uint32_t *grouped_classes; /* [count], ascending */
    float *grouped_scores;     /* [count], ascending within a class */
} nac_calibration;

extern const nac_calibration nac_calibration_none;

/* scores [count >= 1] in 0..1, classes [count] below NAC_MAX_CLASSES or NULL, in any order; false_alarm in 0..1. Frees nothing
 * that `calibration` held before. NAC_INVALID_ARGUMENT names what is out of range. */
nac_status nac_calibration_make(const float *scores, const uint32_t *classes, size_t count, double false_alarm,
                                nac_calibration *calibration, nac_error *error);
void nac_calibration_clear(nac_calibration *calibration);

/* The scores of one class, ascending; *count 0 and NULL when there are none. O(log count). */
const float *nac_calibration_class(const nac_calibration *calibration, uint32_t class_index, size_t *count);
/* Whether so many images of a class are enough for a threshold of its own. */
bool nac_calibration_class_suffices(const nac_calibration *calibration, size_t count);

/* For qsort. NaN must not be among the values. */
int nac_compare_floats(const void *a, const void *b);

/* (1 + #{sorted <= score}) / (count + 1), NaN for a NaN score or count 0. O(log count). */
double nac_conformal_p(const float *sorted, size_t count, float score);

/* The threshold t for which, over all scores in [0, 1],  score < t  <=>  nac_conformal_p(score) <= false_alarm. */
double nac_conformal_threshold(const float *sorted, size_t count, double false_alarm);

#endif
