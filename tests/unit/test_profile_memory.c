/* Profiles and metrics when memory runs out at any allocation: NAC_OUT_OF_MEMORY, nothing half done, nothing lost. This file's allocator
 * takes the place of core/src/base/memory.c. */
#include "base/base.h"
#include "profiles.h"

static long allocations, fail_at = -1, live;

static bool refuse(void) { return allocations++ == fail_at; }

void *nac_alloc(size_t bytes) {
    if (refuse()) return NULL;
    void *memory = malloc(bytes ? bytes : 1);
    live += memory != NULL;
    return memory;
}

void *nac_realloc(void *memory, size_t bytes) {
    if (refuse()) return NULL;
    void *moved = realloc(memory, bytes ? bytes : 1);
    live += moved && !memory;
    return moved;
}

void nac_free(void *memory) {
    live -= memory != NULL;
    free(memory);
}

/* ---- Tests --------------------------------------------------------------------------------------- */

static uint8_t *file;
static size_t file_size;

static nac_status run_create(nac_error *error) {
    nac_profile *profile = NULL;
    nac_status status = nac_profile_create(some_layers, LAYERS, &profile, error);
    nac_profile_destroy(profile);
    return status;
}

static nac_status run_open(nac_error *error) {
    nac_profile *profile = NULL;
    nac_status status = nac_profile_open(file, file_size, &profile, error);
    nac_profile_destroy(profile);
    return status;
}

static nac_status run_metrics(nac_error *error) {
    nac_metrics low, high;
    const float a[] = {1, 2, 3}, b[] = {0, 2, 1};
    nac_status status = nac_metrics_compute(a, 3, b, 3, &low, error);
    if (status == NAC_OK) status = nac_metrics_bootstrap(a, 3, b, 3, 10, 1, &low, &high, error);
    return status;
}

static void run_out(nac_status (*run)(nac_error *)) {
    for (fail_at = 0;; ++fail_at) {
        nac_error error = {0};
        long before = live;
        allocations = 0;
        nac_status status = run(&error);
        if (live != before) fail_at = -1; /* so that what follows can allocate */
        ENSURE(live == before);
        if (status == NAC_OK) break;
        bool told = status == NAC_OUT_OF_MEMORY && error.status == status;
        if (!told) fail_at = -1;
        ENSURE(told);
        ENSURE(fail_at < 10000);
    }
    ENSURE(fail_at > 0);
    fail_at = -1;
}

/* What changes a profile: after a failure the profile must be what it was. */
static nac_status save(nac_profile *p, nac_error *e) {
    const void *bytes;
    size_t size;
    return nac_profile_save(p, &bytes, &size, e);
}
static nac_status calibrate(nac_profile *p, nac_error *e) { return nac_profile_calibrate(p, (float[]){0.5f, 0.25f}, NULL, 2, 0.5, e); }
static nac_status calibrate_classes(nac_profile *p, nac_error *e) {
    return nac_profile_calibrate(p, (float[]){0.5f, 0.25f}, (uint32_t[]){1, 0}, 2, 0.5, e);
}
static nac_status add_hashes(nac_profile *p, nac_error *e) { return nac_profile_add_hashes(p, (uint64_t[]){77, 66}, 2, e); }
static nac_status set_new(nac_profile *p, nac_error *e) { return nac_profile_set_metadata(p, "new", "[1]", 3, e); }
static nac_status set_old(nac_profile *p, nac_error *e) { return nac_profile_set_metadata(p, "labels", "[]", 2, e); }
static nac_status set_preprocess(nac_profile *p, nac_error *e) { return nac_profile_set_metadata(p, "preprocess", "{\"scale\":1}", 11, e); }
static nac_status merge(nac_profile *p, nac_error *e) { return nac_profile_merge(p, p, e); }

static void run_out_of_changes(nac_status (*change)(nac_profile *, nac_error *)) {
    nac_profile *profile = make_full_profile(), *as_it_was = make_full_profile();
    for (long n = 0;; ++n) {
        nac_error error = {0};
        allocations = 0;
        fail_at = n;
        nac_status status = change(profile, &error);
        fail_at = -1;
        if (status == NAC_OK) break;
        ENSURE(status == NAC_OUT_OF_MEMORY && error.status == status);
        ENSURE(same_file(profile, as_it_was));
        ENSURE(n < 10000);
    }
    nac_profile_destroy(profile);
    nac_profile_destroy(as_it_was);
}

static void test_create(void) { run_out(run_create); }
static void test_metrics(void) { run_out(run_metrics); }

static void test_open(void) {
    nac_profile *profile = make_full_profile();
    file = save_copy(profile, &file_size);
    nac_profile_destroy(profile);
    run_out(run_open);
    free(file);
}

static void test_changes(void) {
    long before = live;
    run_out_of_changes(save);
    run_out_of_changes(calibrate);
    run_out_of_changes(calibrate_classes);
    run_out_of_changes(add_hashes);
    run_out_of_changes(set_new);
    run_out_of_changes(set_old);
    run_out_of_changes(set_preprocess);
    run_out_of_changes(merge);
    ENSURE(live == before);
}

/* Counting and scoring take no memory, however many images there are. */
static void test_counting_allocates_nothing(void) {
    nac_profile *profile = make_full_profile();
    batch *b = make_batch(3);
    float scores[MOST], layer_scores[MOST * LAYERS];
    add_images(profile, b, 0, 1); /* drops the calibration */
    allocations = 0;
    for (int i = 0; i < 100; ++i) add_images(profile, b, 0, MOST);
    score_images(profile, b, 0, MOST, layer_scores, scores);
    ENSURE(allocations == 0);
    free(b);
    nac_profile_destroy(profile);
}

int main(void) {
    RUN(test_create);
    RUN(test_open);
    RUN(test_metrics);
    RUN(test_changes);
    RUN(test_counting_allocates_nothing);
    return TEST_RESULT();
}
