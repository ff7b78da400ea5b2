/* Which taps "auto" chooses: small networks of the families that differ in where a stage ends (tests/oracle/tap_goldens.py), and those of
 * network_goldens.py, whose numbers are test_networks.c's. */
#include "golden.h"
#include "graph/passes.h"
#include "onnx/model.h"
#include "ops/ops.h"

static nac_error error;

static const struct {
    const char *file;
    const char *taps[NAC_AUTO_TAPS]; /* deepest first, as --layers writes them */
} cases[] = {
    /* Sums and projections, where the last tensor of a resolution is the next block's expansion. */
    {"taps/mobilenet_v2", {"/GlobalAveragePool_output_0", "/features/features.4/conv/conv.2/Conv_output_0", "/features/features.3/Add_output_0",
                           "/features/features.1/conv/conv.1/Conv_output_0"}},
    {"taps/mobilenet_v2_unfused", {"/GlobalAveragePool_output_0", "/features/features.4/conv/conv.3/BatchNormalization_output_0",
                                   "/features/features.3/Add_output_0", "/features/features.1/conv/conv.2/BatchNormalization_output_0"}},
    {"taps/mobilenet_v3", {"/avgpool/GlobalAveragePool_output_0", "/features/features.3/Add_output_0",
                           "/features/features.1/block/block.2/block.2.0/Conv_output_0", "/features/features.0/features.0.2/Mul_output_0"}},
    {"taps/mobilenet_v3_unfused", {"/avgpool/GlobalAveragePool_output_0", "/features/features.3/Add_output_0",
                                   "/features/features.1/block/block.2/block.2.1/BatchNormalization_output_0", "/features/features.0/features.0.2/Mul_output_0"}},
    {"taps/mobilenet_v4", {"/ReduceMean_output_0", "/features/features.2/Add_output_0", "/features/features.0/features.0.2/Relu_output_0"}},
    {"taps/mnasnet", {"/ReduceMean_output_0", "/layers/layers.11/layers.11.1/Add_output_0", "/layers/layers.9/layers.9.2/Add_output_0",
                      "/layers/layers.8/layers.8.2/Add_output_0"}},
    {"taps/efficientnet", {"/avgpool/GlobalAveragePool_output_0", "/features/features.3/features.3.0/block/block.3/block.3.0/Conv_output_0",
                           "/features/features.2/features.2.1/Add_output_0", "/features/features.1/features.1.0/Add_output_0"}},
    {"taps/efficientnet_v2", {"/avgpool/GlobalAveragePool_output_0", "/features/features.3/features.3.1/Add_output_0",
                              "/features/features.2/features.2.1/Add_output_0", "/features/features.1/features.1.0/Add_output_0"}},
    {"networks/keras", {"pool", "blocks.2", "blocks.0"}},
    /* The pointwise convolution in front of a depthwise one that reduces is the block's end, even where it doubles the width. */
    {"taps/mobilenet_v1", {"/ReduceMean_output_0", "/features/features.3/features.3.1/features.3.1.2/Relu_output_0",
                           "/features/features.1/features.1.1/features.1.1.2/Relu_output_0"}},
    /* Sums, where the last tensor of a resolution is the next block's activation; the stem has no other end than its convolution. */
    {"networks/bit", {"pool", "stages.1", "stages.0", "stem.0"}},
    {"taps/resnet_v2", {"/pool/GlobalAveragePool_output_0", "/stages/stages.1/stages.1.0/Add_output_0", "/stages/stages.0/stages.0.1/Add_output_0", "/stem/stem.0/Conv_output_0"}},
    {"taps/nfnet", {"/ReduceMean_output_0", "/features/features.2/Add_2_output_0", "/features/features.1/Mul_2_output_0"}},
    /* The last tensor of a resolution. */
    {"networks/resnet", {"avgpool", "layer2", "layer1", "/network/stem/stem.2/Relu_output_0"}},
    {"networks/vgg", {"hidden", "features.8", "/network/features/features.7/Relu_output_0", "/network/features/features.4/Relu_output_0"}},
    {"networks/densenet", {"/network/GlobalAveragePool_output_0", "/network/features/transition2/conv/Conv_output_0",
                           "/network/features/transition1/conv/Conv_output_0", "/network/features/relu0/Relu_output_0"}},
    {"networks/vit", {"encoder.ln=cls", "encoder.layers.encoder_layer_2.ln_2", "encoder.layers.encoder_layer_1.ln_2", "encoder.layers.encoder_layer_0.ln_2"}},
    {"taps/tensorflow_vit", {"/norm/Add_1_output_0=cls", "/blocks/blocks.3/norm2/Add_1_output_0", "/blocks/blocks.2/norm2/Add_1_output_0", "/blocks/blocks.1/norm2/Add_1_output_0"}},
    {"taps/rms_vit", {"/norm/Mul_1_output_0=cls", "/blocks/blocks.3/norm2/Mul_1_output_0", "/blocks/blocks.2/norm2/Mul_1_output_0", "/blocks/blocks.1/norm2/Mul_1_output_0"}},
    {"networks/deit", {"norm=cls", "blocks.2.norm2", "blocks.1.norm2", "blocks.0.norm2"}},
    /* What is behind the last product is logits. */
    {"taps/squeezenet", {"/3/3.2/Relu_output_0", "/2/2.2/Relu_output_0", "/0/0.2/Relu_output_0"}},
    {"onnx/sound", {"pooled"}}, /* but where there is nothing in front of it */
    /* Its transformers' tokens are of parts of an image. */
    {"taps/mobilevit", {"/ReduceMean_output_0", "/features/features.4/fuse/fuse.2/Relu_output_0", "/features/features.2/fuse/fuse.2/Relu_output_0",
                        "/features/features.0/features.0.2/Relu_output_0"}},
    {"taps/mixnet", {"/ReduceMean_output_0", "/features/features.2/features.2.3/features.2.3.0/Conv_output_0", "/features/features.0/features.0.2/Relu_output_0"}},
    /* A frame around a stage is no stage, nor is the normalised image; the tensor of the last one says the same as its mean. */
    {"taps/blurred", {"/ReduceMean_output_0", "/stages/stages.2/stages.2.0/stages.2.0.2/Relu_output_0",
                      "/stages/stages.1/stages.1.0/stages.1.0.2/Relu_output_0", "/stages/stages.0/stages.0.0/stages.0.0.2/Relu_output_0"}},
    {"taps/prototypes", {"/ReduceMean_output_0", "/features/features.0/features.0.2/Relu_output_0"}},
    {"taps/ensemble", {"/second/norm/Add_1_output_0=cls", "/first/ReduceMean_output_0"}}, /* no path runs through both */
    /* Blocks of one resolution: their norms, those in front of an MLP over channels alone, or their sums. */
    {"taps/mixer", {"/ReduceMean_output_0", "/blocks/blocks.3/norm2/Add_1_output_0", "/blocks/blocks.2/norm2/Add_1_output_0", "/blocks/blocks.1/norm2/Add_1_output_0"}},
    {"taps/convmixer", {"/ReduceMean_output_0", "/features/features.6/features.6.0/Add_output_0", "/features/features.5/features.5.0/Add_output_0",
                        "/features/features.4/features.4.0/Add_output_0"}},
    {"networks/clip", {"ln_post", "blocks.2.ln_2", "blocks.1.ln_2", "blocks.0.ln_2"}},
    {"networks/xcit", {"norm=cls", "class_blocks.1.norm2", "class_blocks.0.norm2", "blocks.1.norm2"}},
    /* Not the tokens that are chosen from a stage's. */
    {"taps/pyramid", {"/GlobalAveragePool_output_0=none", "/Add_output_0"}},
    /* Heads are no rows of an image: what they make is no stage. */
    {"taps/halved", {"/ReduceMean_output_0", "/stages/stages.3/Add_output_0", "/stages/stages.1/Add_output_0", "/stages/stages.0/Add_output_0"}},
    {"networks/swin", {"avgpool", "features.1=nhwc"}},
    {"networks/swinv2", {"avgpool", "features.1=nhwc"}},
    {"networks/convnext", {"/network/classifier/classifier.0/Add_1_output_0=nhwc", "features.3", "features.1"}},
    {"networks/maxvit", {"classifier.2", "/network/blocks.0/layers.0/layers/grid_attention/Add_1_output_0=nhwc", "stem.1"}},
};

static const char *const endings[] = {[NAC_POOL_SUM] = "", [NAC_POOL_NHWC] = "=nhwc", [NAC_POOL_CLS] = "=cls", [NAC_POOL_NONE] = "=none"};

/* The taps of a file, as --layers writes them. */
static int find_taps(const char *name, char taps[NAC_AUTO_TAPS][128]) {
    char path[128];
    snprintf(path, sizeof path, "%s.onnx", name);
    golden file = golden_read(path);
    nac_model *model;
    nac_graph graph = {0};
    nac_graph_tap found[NAC_AUTO_TAPS];
    int count;
    ENSURE_OK(nac_model_open(file.bytes, file.size, &model, &error), &error);
    int *bindings = malloc(((size_t)model->tensor_count + 1) * sizeof *bindings);
    ENSURE(bindings);
    ENSURE_OK(nac_lower_model(model, 1, 0, 0, NULL, &graph, bindings, &error), &error);
    ENSURE_OK(nac_graph_auto_taps(&graph, found, &count, &error), &error);
    for (int i = 0; i < count; ++i) {
        const nac_pool pool = found[i].pool;
        ENSURE(pool != NAC_POOL_MEAN);
        snprintf(taps[i], sizeof taps[i], "%s%s", graph.values[found[i].value].name, endings[pool]);
    }
    nac_graph_free(&graph);
    nac_model_close(model);
    golden_close(&file);
    free(bindings);
    return count;
}

static void test_choices(void) {
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char taps[NAC_AUTO_TAPS][128];
        const int count = find_taps(cases[i].file, taps);
        for (int t = 0; t < NAC_AUTO_TAPS; ++t) {
            const char *chosen = t < count ? taps[t] : "nothing", *expected = cases[i].taps[t] ? cases[i].taps[t] : "nothing";
            if (strcmp(chosen, expected) == 0) continue;
            printf("%s, tap %d: %s, expected %s\n", cases[i].file, t, chosen, expected);
            ++wrong;
        }
    }
    ENSURE(wrong == 0);
}

int main(void) {
    RUN(test_choices);
    return TEST_RESULT();
}
