/* stages.c - where a stage of a convolutional network ends.
 *
 * The last tensor of a resolution that every path runs through is the stage's output in most networks, as ResNet's sums behind their
 * ReLU are. Two kinds of block begin with something that all of their paths share, so that the last such tensor lies in the next
 * stage's first block:
 *   - an inverted bottleneck (MobileNetV2 and 3, MNASNet, EfficientNet) widens before its depthwise convolution reduces the image;
 *   - a pre-activated residual block (ResNetV2, BiT, NFNet) normalises or activates before it branches. */
#include "graph/survey.h"

/* What lies between one cut and the next. */
typedef enum step {
    ACTIVATION, /* functions of each number, scaled by one constant at most */
    NORM,       /* statistics, or constants for each channel; no products */
    POINTWISE,  /* one convolution of 1x1 */
    DEPTHWISE,  /* one convolution of each channel with itself */
    GATE,       /* branches that are multiplied: squeeze and excitation */
    JOIN,       /* branches that are added or put side by side */
    OTHER,
} step;

static bool is_depthwise(const nac_graph *graph, const nac_node *node) {
    const nac_shape *x = &graph->values[node->inputs[0]].shape;
    return node->op == NAC_OP_CONV && node->u.conv.groups > 1 && node->u.conv.groups == x->dims[x->rank - 1];
}

static bool is_pointwise(const nac_node *node) {
    const nac_window *window = &node->u.conv.window;
    return node->op == NAC_OP_CONV && node->u.conv.groups == 1 && window->kernel_h == 1 && window->kernel_w == 1 && window->stride_h == 1 &&
           window->stride_w == 1;
}

static bool is_uniform(const nac_graph *graph, const nac_node *affine) {
    float number;
    return nac_graph_is_uniform(graph, affine->inputs[1], &number) && nac_graph_is_uniform(graph, affine->inputs[2], &number);
}

static step step_to(const nac_survey *s, int cut) {
    const nac_graph *graph = s->graph;
    const nac_node *last = nac_survey_computed_by(graph, s->cuts[cut]);
    const int end = graph->values[s->cuts[cut]].producer, begin = cut > 0 ? graph->values[s->cuts[cut - 1]].producer + 1 : 0;
    int products = 0;
    bool normalises = false;
    for (int n = begin; n <= end; ++n) {
        const nac_node *node = &graph->nodes[n];
        products += node->op == NAC_OP_CONV || node->op == NAC_OP_MATMUL || node->op == NAC_OP_MAX_POOL || node->op == NAC_OP_AVERAGE_POOL;
        normalises = normalises || node->op == NAC_OP_LAYER_NORM || node->op == NAC_OP_REDUCE || (node->op == NAC_OP_AFFINE && !is_uniform(graph, node));
    }
    if (products == 0) return normalises ? NORM : ACTIVATION;
    if (products == 1 && is_pointwise(last)) return POINTWISE;
    if (products == 1 && is_depthwise(graph, last)) return DEPTHWISE;
    if (last->op == NAC_OP_CONCAT || (last->op == NAC_OP_BINARY && last->u.binary.kind == NAC_BINARY_ADD)) return JOIN;
    return last->op == NAC_OP_BINARY && last->u.binary.kind == NAC_BINARY_MUL ? GATE : OTHER;
}

/* Whether a depthwise convolution is all that reads the value, and reduces it. It may be padded first (TensorFlow). */
static bool is_reduced_depthwise(const nac_survey *s, int value) {
    const nac_graph *graph = s->graph;
    while (s->uses[value] == 1 && s->reader[value] != NAC_NONE) {
        const nac_node *node = &graph->nodes[s->reader[value]];
        if (nac_survey_moved(graph, node) != value) return is_depthwise(graph, node) && (node->u.conv.window.stride_h > 1 || node->u.conv.window.stride_w > 1);
        value = node->output;
    }
    return false;
}

/* The same, or parts of the channels that are all read so, by windows of different sizes (MixNet). */
static bool is_reduced_by_channel(const nac_survey *s, int value) {
    const nac_graph *graph = s->graph;
    if (s->uses[value] < 2) return is_reduced_depthwise(s, value);
    for (int n = graph->values[value].producer + 1; n <= s->reader[value]; ++n) {
        const nac_node *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; ++i)
            if (node->inputs[i] == value && !(node->op == NAC_OP_SLICE && is_reduced_depthwise(s, node->output))) return false;
    }
    return true;
}

/* Whether a sum is of the sum in front of it, which nothing has activated on the way. */
static bool continues_sum(const nac_survey *s, int cut) {
    const nac_node *node = nac_survey_computed_by(s->graph, s->cuts[cut]);
    if (cut == 0 || node->op != NAC_OP_BINARY || step_to(s, cut - 1) != JOIN) return false;
    return node->inputs[0] == s->cuts[cut - 1] || node->inputs[1] == s->cuts[cut - 1];
}

/* cuts[last] is activated, and was a sum before: the sum (behind its own activation), where it is normalised first, or where sums go from block
 * to block as they are. Otherwise `last`. */
static int before_preactivation(const nac_survey *s, int last) {
    int at = last, first_norm = NAC_NONE;
    step kind = OTHER;
    for (; at > 0 && ((kind = step_to(s, at)) == ACTIVATION || kind == NORM); --at)
        if (kind == NORM) first_norm = at;
    if (kind != JOIN) return last;
    if (first_norm != NAC_NONE) return first_norm - 1;
    return continues_sum(s, at) ? at : last;
}

/* cuts[last] is the wide side of an inverted bottleneck: what was widened. Otherwise `last`. */
static int before_expansion(const nac_survey *s, int last) {
    if (!is_reduced_by_channel(s, s->cuts[last])) return last;
    int at = last;
    step kind;
    while (at > 0 && ((kind = step_to(s, at)) == ACTIVATION || kind == NORM)) --at;
    if (at == 0 || step_to(s, at) != POINTWISE) return last;
    const nac_shape *w = &s->graph->values[nac_survey_computed_by(s->graph, s->cuts[at])->inputs[1]].shape;
    const int to = w->dims[0], from = w->dims[w->rank - 1];

    /* A depthwise convolution in front makes the two a separable one, whose end is the block's (MobileNetV1). Those never widen more than
     * twofold; one that does is a bottleneck that begins with a depthwise convolution of its own (MobileNetV4). */
    bool activated = false;
    int before = at - 1;
    for (; before > 0 && ((kind = step_to(s, before)) == ACTIVATION || kind == NORM || kind == GATE); --before) activated = activated || kind != NORM;
    const bool separable = before > 0 && step_to(s, before) == DEPTHWISE;
    if (to <= from || (separable && to <= 2 * from)) return last;
    return separable && !activated ? before - 1 : at - 1;
}

bool nac_survey_joins(const nac_survey *s, int cut) { return step_to(s, cut) == JOIN; }

int nac_survey_block_end(const nac_survey *s, int last) {
    const int end = before_preactivation(s, before_expansion(s, last));
    const nac_value *value = &s->graph->values[s->cuts[end]];
    const bool usable = value->name && !s->inside_norm[s->cuts[end]] && nac_survey_positions(s, s->cuts[end]) == nac_survey_positions(s, s->cuts[last]);
    return usable ? end : last;
}
