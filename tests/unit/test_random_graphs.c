/* Networks that nobody wrote: as many as a few seconds allow, from a fixed seed, through the file format and the plan, computed in every
 * way that this build has (tests/fuzz/graph_check.h). What `npm run fuzz` found stands below. */
#include "../fuzz/graph_check.h"
#include "test.h"

enum { NETWORKS = 3000, CHOICES = 240 };

static graph_check check;

static void test_random_networks(void) {
    uint64_t state = 20261125;
    int made = 0, ran = 0, gradients = 0, derived = 0;
    for (int n = 0; n < NETWORKS; ++n) {
        uint8_t choices[CHOICES];
        for (int i = 0; i < CHOICES; ++i) choices[i] = (uint8_t)(test_random(&state) >> 8);
        if (!graph_check_run(&check, choices, sizeof choices)) continue;
        if (check.message[0]) printf("network %d: %s\n", n, check.message);
        ENSURE(check.message[0] == 0);
        ++made;
        ran += check.ran;
        gradients += check.gradients;
        derived += check.derived;
    }
    printf("%d networks, %d gradients, %d of them against finite differences\n", ran, gradients, derived);
    /* Nearly all must have been compared to the end, or this says nothing. */
    ENSURE(made >= NETWORKS * 9 / 10 && ran >= made * 9 / 10);
    ENSURE(derived >= gradients / 4); /* the rest stands at a corner, or drowns in rounding */
}

/* What was found and mended. A list of choices means something else when random_graph.h changes; then the networks above must find it. */
static const struct {
    const char *what;
    size_t size;
    uint8_t choices[32];
} found[] = {
    {"attention of one head over one image: an activation was taken for a matrix that the batch shares", 14, {0, 1, 0, 0, 0, 0, 0, 21, 1, 4, 0, 29}},
    {"ReLU behind ReLU: slopes to both sides of a corner, equal by chance, were taken for the gradient", 4, {10, 179, 45, 45}},
    {"the same", 3, {36, 35, 45}},
    {"the same", 4, {10, 167, 122, 43}},
    {"the same", 3, {58, 217, 193}},
    {"the same", 4, {116, 10, 52, 35}},
    {"the same, behind few elements: those of a channel that turned weighed as much as its sum", 11, {168, 139, 120, 195, 67, 30, 28, 147, 248, 64, 231}},
    {"layer normalisation of numbers that lie close together: what it magnified of rounding was taken for a difference", 25,
     {0, 205, 1, 0, 0, 0, 0, 235, 1, 125, 0, 64, 0, 204, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 176}},
};

static void test_found(void) {
    for (size_t i = 0; i < sizeof found / sizeof *found; ++i) {
        const bool made = graph_check_run(&check, found[i].choices, found[i].size);
        if (!made || check.message[0]) printf("%s: %s\n", found[i].what, check.message);
        ENSURE(made && check.message[0] == 0 && check.ran);
    }
}

int main(void) {
    RUN(test_found);
    RUN(test_random_networks);
    return TEST_RESULT();
}
