/* calibrate.c - the profile's held-out scores and thresholds. */
#include <math.h>

#include "profile/profile.h"

nac_status nac_profile_calibrate(nac_profile *profile, const float *scores, const uint32_t *classes, size_t count, double false_alarm,
                                 nac_error *error) {
    nac_calibration made;
    NAC_TRY(nac_calibration_make(scores, classes, count, false_alarm, &made, error));
    nac_calibration_clear(&profile->calibration); /* scores and classes may have been these */
    profile->calibration = made;
    return NAC_OK;
}

double nac_profile_p_value(const nac_profile *profile, float score) {
    return nac_conformal_p(profile->calibration.scores, profile->calibration.count, score);
}

double nac_profile_threshold(const nac_profile *profile) { return profile->calibration.threshold; }

double nac_profile_false_alarm(const nac_profile *profile) { return profile->calibration.false_alarm; }

const float *nac_profile_calibration(const nac_profile *profile, size_t *count) {
    if (count) *count = profile->calibration.count;
    return profile->calibration.scores;
}

const uint32_t *nac_profile_calibration_classes(const nac_profile *profile) { return profile->calibration.classes; }

/* The scores of a class that has enough of them, else NULL. */
static const float *sufficient_class(const nac_profile *profile, int class_index, size_t *count) {
    const float *scores = class_index < 0 ? NULL : nac_calibration_class(&profile->calibration, (uint32_t)class_index, count);
    return scores && nac_calibration_class_suffices(&profile->calibration, *count) ? scores : NULL;
}

double nac_profile_class_p_value(const nac_profile *profile, int class_index, float score) {
    size_t count;
    const float *scores = sufficient_class(profile, class_index, &count);
    return scores ? nac_conformal_p(scores, count, score) : NAN;
}

double nac_profile_class_threshold(const nac_profile *profile, int class_index) {
    size_t count;
    const float *scores = sufficient_class(profile, class_index, &count);
    return scores ? nac_conformal_threshold(scores, count, profile->calibration.false_alarm) : NAN;
}
