/* calibrate.c - the profile's held-out scores and threshold. */
#include <math.h>
#include <stdlib.h>

#include "nac/calibration.h"
#include "profile/profile.h"

nac_status nac_profile_calibrate(nac_profile *profile, const float *scores, size_t count, double false_alarm, nac_error *error) {
    if (!scores || count == 0) return nac_fail(error, NAC_INVALID_ARGUMENT, "no calibration score");
    if (!(false_alarm >= 0 && false_alarm <= 1)) return nac_fail(error, NAC_INVALID_ARGUMENT, "false alarm rate %g must be in 0..1", false_alarm);
    float *sorted = nac_alloc_array(count, sizeof *sorted);
    if (!sorted) return nac_out_of_memory(error, "calibration scores");
    for (size_t i = 0; i < count; ++i) {
        if (!(scores[i] >= 0 && scores[i] <= 1)) {
            nac_free(sorted);
            return nac_fail(error, NAC_INVALID_ARGUMENT, "calibration score %zu is %g, must be in 0..1", i, (double)scores[i]);
        }
        sorted[i] = scores[i] + 0.0f; /* -0 becomes 0, so that equal sets are equal bytes */
    }
    qsort(sorted, count, sizeof *sorted, nac_compare_floats);
    nac_free(profile->calibration); /* scores may have been these */
    profile->calibration = sorted;
    profile->calibration_count = count;
    profile->false_alarm = false_alarm + 0.0;
    profile->threshold = nac_conformal_threshold(sorted, count, false_alarm);
    return NAC_OK;
}

double nac_profile_p_value(const nac_profile *profile, float score) {
    return nac_conformal_p(profile->calibration, profile->calibration_count, score);
}

double nac_profile_threshold(const nac_profile *profile) { return profile->threshold; }

double nac_profile_false_alarm(const nac_profile *profile) { return profile->false_alarm; }

const float *nac_profile_calibration(const nac_profile *profile, size_t *count) {
    if (count) *count = profile->calibration_count;
    return profile->calibration;
}
