/* metrics.c - AUROC, FPR95 in both conventions, average precision. */
#include "nac/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "nac/calibration.h"

static nac_status sorted_copy(const float *scores, size_t count, const char *set, float **copy, nac_error *error) {
    size_t bytes;
    if (!nac_mul_size(count, sizeof *scores, &bytes) || !(*copy = nac_alloc(bytes))) return nac_out_of_memory(error, "scores");
    for (size_t i = 0; i < count; ++i) {
        if (isnan(scores[i])) {
            nac_free(*copy);
            *copy = NULL;
            return nac_fail(error, NAC_NOT_FINITE, "score %zu of the %s set is NaN", i, set);
        }
        (*copy)[i] = scores[i];
    }
    qsort(*copy, count, sizeof **copy, nac_compare_floats);
    return NAC_OK;
}

static void group(const float *id, const float *ood, nac_score_groups *groups) {
    size_t i = 0, o = 0, g = 0;
    for (; i < groups->id_count || o < groups->ood_count; ++g) {
        bool id_first = o == groups->ood_count || (i < groups->id_count && id[i] < ood[o]);
        float value = id_first ? id[i] : ood[o];
        for (; i < groups->id_count && id[i] == value; ++i, ++groups->id[g]) groups->id_group[i] = g;
        for (; o < groups->ood_count && ood[o] == value; ++o, ++groups->ood[g]) groups->ood_group[o] = g;
    }
    groups->group_count = g;
}

nac_status nac_score_groups_create(const float *id, size_t id_count, const float *ood, size_t ood_count,
                                   nac_score_groups *groups, nac_error *error) {
    *groups = (nac_score_groups){0};
    if (!id || !ood || id_count == 0 || ood_count == 0)
        return nac_fail(error, NAC_INVALID_ARGUMENT, "%zu in-distribution and %zu OOD scores: both sets need one", id_count,
                        ood_count);
    size_t count;
    if (!nac_add_size(id_count, ood_count, &count)) return nac_out_of_memory(error, "scores");
    float *sorted_id = NULL, *sorted_ood = NULL;
    nac_status status = sorted_copy(id, id_count, "in-distribution", &sorted_id, error);
    if (status == NAC_OK) status = sorted_copy(ood, ood_count, "OOD", &sorted_ood, error);
    if (status == NAC_OK) {
        groups->id_count = id_count;
        groups->ood_count = ood_count;
        groups->id = nac_alloc_array(count, sizeof(size_t));
        groups->ood = nac_alloc_array(count, sizeof(size_t));
        groups->id_group = nac_alloc_array(id_count, sizeof(size_t));
        groups->ood_group = nac_alloc_array(ood_count, sizeof(size_t));
        if (groups->id && groups->ood && groups->id_group && groups->ood_group) {
            group(sorted_id, sorted_ood, groups);
        } else {
            nac_score_groups_destroy(groups);
            status = nac_out_of_memory(error, "scores");
        }
    }
    nac_free(sorted_id);
    nac_free(sorted_ood);
    return status;
}

void nac_score_groups_destroy(nac_score_groups *groups) {
    nac_free(groups->id);
    nac_free(groups->ood);
    nac_free(groups->id_group);
    nac_free(groups->ood_group);
    *groups = (nac_score_groups){0};
}

/* One set is positive; groups are walked from the most positive score on, so that after each group the walk stands at a
 * threshold: tp and fp are what that threshold accepts. Tied scores are accepted together. */
typedef struct walk_result {
    double fpr95;             /* fp / negatives at the first threshold with tp / positives >= 0.95 */
    double average_precision; /* sum of precision * (increase of recall) */
} walk_result;

static walk_result walk(const size_t *positive, size_t positives, const size_t *negative, size_t negatives, size_t group_count,
                        bool from_high) {
    walk_result result = {.fpr95 = 1.0};
    size_t tp = 0, fp = 0;
    bool caught = false;
    for (size_t i = 0; i < group_count; ++i) {
        size_t g = from_high ? group_count - 1 - i : i;
        tp += positive[g];
        fp += negative[g];
        if (positive[g] > 0)
            result.average_precision += (double)positive[g] / (double)positives * ((double)tp / ((double)tp + (double)fp));
        if (!caught && (double)tp / (double)positives >= 0.95) {
            caught = true;
            result.fpr95 = (double)fp / (double)negatives;
        }
    }
    return result;
}

nac_metrics nac_metrics_of_counts(const nac_score_groups *groups, const size_t *id, const size_t *ood) {
    double wins = 0, ood_below = 0; /* pairs in which the ID score is higher; exact while below 2^52 */
    for (size_t g = 0; g < groups->group_count; ++g) {
        wins += (double)id[g] * (ood_below + 0.5 * (double)ood[g]);
        ood_below += (double)ood[g];
    }
    size_t I = groups->id_count, O = groups->ood_count;
    walk_result ood_positive = walk(ood, O, id, I, groups->group_count, false);
    walk_result id_positive = walk(id, I, ood, O, groups->group_count, true);
    return (nac_metrics){
        .auroc = wins / ((double)I * (double)O),
        .fpr95 = ood_positive.fpr95,
        .fpr95_id_positive = id_positive.fpr95,
        .aupr_in = id_positive.average_precision,
        .aupr_out = ood_positive.average_precision,
    };
}

nac_status nac_metrics_compute(const float *id, size_t id_count, const float *ood, size_t ood_count, nac_metrics *metrics,
                               nac_error *error) {
    if (!metrics) return nac_fail(error, NAC_INVALID_ARGUMENT, "metrics is NULL");
    nac_score_groups groups;
    NAC_TRY(nac_score_groups_create(id, id_count, ood, ood_count, &groups, error));
    *metrics = nac_metrics_of_counts(&groups, groups.id, groups.ood);
    nac_score_groups_destroy(&groups);
    return NAC_OK;
}
