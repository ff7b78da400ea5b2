/* fuzz_model.c - attempts to make the ONNX reader, the lowering, the passes or the planner read or write out of bounds, leak or
 * hang: the bytes are a model and, where it names files with weights, each of these files; what opens is planned for a 32x32 image and, where the plan
 * is small, run forward and backward. */
#include <string.h>

#include "nac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    nac_model *model;
    nac_session *session;
    nac_error error;
    if (nac_model_open(data, size, &model, &error) != NAC_OK) return 0;
    for (size_t i = 0; nac_model_file(model, i); ++i) (void)nac_model_attach(model, nac_model_file(model, i), data, size, &error);
    const nac_session_options options = {.batch = 1, .height = 32, .width = 32, .backend = NAC_BACKEND_REFERENCE};
    if (nac_session_create(model, &options, &session, &error) == NAC_OK) {
        int dims[4];
        float *input = nac_session_input(session, dims);
        const size_t count = (size_t)dims[0] * (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3];
        if (count <= 32 * 32 * 4) {
            memset(input, 0, count * sizeof *input);
            if (nac_session_forward(session, &error) == NAC_OK) (void)nac_session_backward(session, &error);
        }
        nac_session_destroy(session);
    }
    nac_model_close(model);
    return 0;
}
