/* model_coverage.c - NAC-ME: how much of its neurons' range a whole model uses. */
#include <math.h>

#include "nac/coverage.h"

/* As get_score in the authors' nac/coverage.py: there are M - 1 bins, yet the sum over them is divided by M. */
double nac_model_coverage(const uint32_t *counts, int neurons, int M, double O) {
    if (!counts || neurons < 1 || M < 2 || !(O > 0)) return NAN;
    double sum = 0;
    size_t cells = (size_t)(M - 1) * (size_t)neurons;
    for (size_t i = 0; i < cells; ++i) sum += nac_phi(counts[i], O);
    return sum / M / neurons;
}
