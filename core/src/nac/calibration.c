/* calibration.c - conformal p-values, and the threshold that says the same without computing one. */
#include "nac/calibration.h"

#include <math.h>
#include <stdlib.h>

const nac_calibration nac_calibration_none = {.false_alarm = NAN, .threshold = NAN};

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

typedef struct classed_score {
    float score;
    uint32_t class_index;
} classed_score;

static int by_score(const void *a, const void *b) {
    const classed_score *x = a, *y = b;
    int order = nac_compare_floats(&x->score, &y->score);
    return order ? order : (x->class_index > y->class_index) - (x->class_index < y->class_index);
}

static int by_class(const void *a, const void *b) {
    const classed_score *x = a, *y = b;
    int order = (x->class_index > y->class_index) - (x->class_index < y->class_index);
    return order ? order : nac_compare_floats(&x->score, &y->score);
}

static void unzip(const classed_score *pairs, size_t count, float *scores, uint32_t *classes) {
    for (size_t i = 0; i < count; ++i) {
        scores[i] = pairs[i].score;
        if (classes) classes[i] = pairs[i].class_index;
    }
}

static nac_status check(const float *scores, const uint32_t *classes, size_t count, double false_alarm, nac_error *error) {
    if (!scores || count == 0) return nac_fail(error, NAC_INVALID_ARGUMENT, "no calibration score");
    if (!(false_alarm >= 0 && false_alarm <= 1)) return nac_fail(error, NAC_INVALID_ARGUMENT, "false alarm rate %g must be in 0..1", false_alarm);
    for (size_t i = 0; i < count; ++i) {
        if (!(scores[i] >= 0 && scores[i] <= 1))
            return nac_fail(error, NAC_INVALID_ARGUMENT, "calibration score %zu is %g, must be in 0..1", i, (double)scores[i]);
        if (classes && classes[i] >= NAC_MAX_CLASSES)
            return nac_fail(error, NAC_INVALID_ARGUMENT, "calibration image %zu is of class %u, must be below %d", i, (unsigned)classes[i],
                            (int)NAC_MAX_CLASSES);
    }
    return NAC_OK;
}

nac_status nac_calibration_make(const float *scores, const uint32_t *classes, size_t count, double false_alarm,
                                nac_calibration *calibration, nac_error *error) {
    NAC_TRY(check(scores, classes, count, false_alarm, error));
    nac_calibration made = {.count = count, .false_alarm = false_alarm + 0.0};
    classed_score *pairs = nac_alloc_array(count, sizeof *pairs);
    made.scores = nac_alloc_array(count, sizeof *made.scores);
    bool allocated = pairs && made.scores;
    if (classes) {
        made.classes = nac_alloc_array(count, sizeof *made.classes);
        made.grouped_classes = nac_alloc_array(count, sizeof *made.grouped_classes);
        made.grouped_scores = nac_alloc_array(count, sizeof *made.grouped_scores);
        allocated = allocated && made.classes && made.grouped_classes && made.grouped_scores;
    }
    if (!allocated) {
        nac_free(pairs);
        nac_calibration_clear(&made);
        return nac_out_of_memory(error, "calibration scores");
    }
    for (size_t i = 0; i < count; ++i) /* -0 becomes 0, so that equal sets are equal bytes */
        pairs[i] = (classed_score){.score = scores[i] + 0.0f, .class_index = classes ? classes[i] : 0};
    qsort(pairs, count, sizeof *pairs, by_score);
    unzip(pairs, count, made.scores, made.classes);
    if (classes) {
        qsort(pairs, count, sizeof *pairs, by_class);
        unzip(pairs, count, made.grouped_scores, made.grouped_classes);
    }
    nac_free(pairs);
    made.threshold = nac_conformal_threshold(made.scores, count, false_alarm);
    *calibration = made;
    return NAC_OK;
}

void nac_calibration_clear(nac_calibration *calibration) {
    nac_free(calibration->scores);
    nac_free(calibration->classes);
    nac_free(calibration->grouped_classes);
    nac_free(calibration->grouped_scores);
    *calibration = nac_calibration_none;
}

/* The first position whose class is `class_index` or above. */
static size_t first_of_class(const nac_calibration *calibration, uint32_t class_index) {
    size_t low = 0, high = calibration->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (calibration->grouped_classes[middle] < class_index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const float *nac_calibration_class(const nac_calibration *calibration, uint32_t class_index, size_t *count) {
    *count = 0;
    if (!calibration->classes || class_index >= NAC_MAX_CLASSES) return NULL;
    size_t first = first_of_class(calibration, class_index);
    *count = first_of_class(calibration, class_index + 1) - first;
    return *count ? calibration->grouped_scores + first : NULL;
}

bool nac_calibration_class_suffices(const nac_calibration *calibration, size_t count) {
    return (double)count * calibration->false_alarm >= (double)NAC_CLASS_FALSE_ALARMS;
}
