/* metrics.h - what metrics.c and bootstrap.c share: scores as counts of their distinct values. */
#ifndef NAC_METRICS_H
#define NAC_METRICS_H

#include "base/base.h"

/* Both sets sorted into groups of equal score, ascending. Every metric depends on the two counts of every group
 * alone, so a bootstrap round draws new counts and sorts nothing. */
typedef struct nac_score_groups {
    size_t group_count;
    size_t id_count, ood_count;
    size_t *id, *ood;           /* [group_count] members of each set */
    size_t *id_group, *ood_group; /* [id_count], [ood_count]: group of every score, ascending */
} nac_score_groups;

nac_status nac_score_groups_create(const float *id, size_t id_count, const float *ood, size_t ood_count,
                                   nac_score_groups *groups, nac_error *error);
void nac_score_groups_destroy(nac_score_groups *groups);

/* Metrics of `id` and `ood` [group_count], which hold groups->id_count and groups->ood_count scores. O(groups). */
nac_metrics nac_metrics_of_counts(const nac_score_groups *groups, const size_t *id, const size_t *ood);

#endif
