/* taps.c - which tensors of a network are worth tapping, and how each is pooled. */
#include <stdlib.h>

#include "graph/passes.h"
#include "graph/survey.h"

static nac_graph_tap make_tap(int value, nac_pool pool) { return (nac_graph_tap){.value = value, .pool = pool, .z = NAC_NONE, .g = NAC_NONE}; }

/* ---- The classifier's input ------------------------------------------------------------------------ */

/* Whether a value is only read for single tokens, the first among them; a distilled DeiT reads the second, too. */
static bool is_read_for_first_token(const nac_survey *s, int value) {
    const nac_graph *graph = s->graph;
    bool first = false;
    if (graph->values[value].shape.rank != 3) return false;
    for (int n = graph->values[value].producer + 1; n <= s->reader[value]; ++n) {
        const nac_node *node = &graph->nodes[n];
        bool reads = false;
        for (int i = 0; i < node->input_count; ++i) reads = reads || node->inputs[i] == value;
        if (!reads) continue;
        if (node->op != NAC_OP_SLICE || graph->values[node->output].shape.dims[1] != 1) return false;
        first = first || node->u.slice.starts[1] == 0;
    }
    return first;
}

/* How many cuts stand in front of the last product. What is behind it is logits, be it a map of them that is pooled (SqueezeNet). */
static int count_features(const nac_survey *s) {
    const nac_graph *graph = s->graph;
    int product = graph->node_count - 1, count = s->cut_count;
    while (product >= 0 && graph->nodes[product].op != NAC_OP_MATMUL && graph->nodes[product].op != NAC_OP_CONV) --product;
    while (product >= 0 && count > 0 && graph->values[s->cuts[count - 1]].producer >= product) --count;
    return count;
}

/* Finds the tap nearest to the logits among cuts[0, features); *cut is where it stands among the cuts, *covered how many positions the tensor has
 * that says the same. False where there is none.
 *   - the last global pool (of an image or of tokens), or the layer norm right behind it;
 *   - the layer norm of whose tokens the first is taken, as a vision transformer does;
 *   - what the last matrix product reads. */
static bool find_classifier_input(const nac_survey *s, int features, nac_graph_tap *tap, int *cut, int *covered) {
    const nac_graph *graph = s->graph;
    int before_product = NAC_NONE, last_norm = NAC_NONE;
    for (int i = features - 1; i >= 0; --i) {
        const int value = s->cuts[i];
        if (!graph->values[value].name) continue;
        const nac_node *producer = nac_survey_computed_by(graph, value);
        const bool reduces = producer->op == NAC_OP_REDUCE || producer->op == NAC_OP_AVERAGE_POOL || producer->op == NAC_OP_MAX_POOL;
        *cut = i;
        if (is_read_for_first_token(s, value)) {
            *tap = make_tap(value, NAC_POOL_CLS);
            *covered = 0;
            return true;
        }
        if (reduces && !s->inside_norm[producer->output] && nac_survey_positions(s, producer->inputs[0]) > 1 && nac_survey_positions(s, value) <= 1) {
            *covered = nac_survey_positions(s, producer->inputs[0]);
            if (last_norm != NAC_NONE) *tap = make_tap(last_norm, nac_survey_pool(s, last_norm));
            else *tap = make_tap(value, nac_survey_pool(s, value));
            return true;
        }
        /* Going back, so that it ends as the norm nearest to the pool, and of that one its result. */
        for (int k = 0; k < s->norm_count; ++k)
            if (s->norms[k].value == value && nac_survey_positions(s, value) <= 1) last_norm = value;
        if (before_product == NAC_NONE && graph->values[value].shape.rank == 2) before_product = i;
    }
    if (before_product == NAC_NONE) return false;
    *cut = before_product;
    *tap = make_tap(s->cuts[before_product], NAC_POOL_SUM);
    *covered = nac_survey_positions(s, nac_survey_computed_by(graph, s->cuts[before_product])->inputs[0]);
    return true;
}

/* ---- Transformers ---------------------------------------------------------------------------------- */

/* Whether a norm stands in front of a block's MLP: no softmax between it and the sum that joins the block to its input. */
static bool precedes_mlp(const nac_survey *s, const nac_layer_norm *norm) {
    int end = s->graph->node_count;
    for (int i = 0; i < s->cut_count; ++i) {
        const int producer = s->graph->values[s->cuts[i]].producer;
        if (producer > norm->node && !s->inside_norm[s->cuts[i]]) {
            end = producer;
            break;
        }
    }
    for (int n = norm->node + 1; n < end; ++n)
        if (s->graph->nodes[n].op == NAC_OP_SOFTMAX) return false;
    return true;
}

/* A transformer of one resolution: at least two norms of tokens, all of equally many. A hierarchical one (Swin) has stages, as
 * convolutional networks have. */
static bool is_isotropic(const nac_survey *s) {
    int count = 0, tokens = 0;
    for (int i = 0; i < s->norm_count; ++i) {
        const nac_shape *shape = &s->graph->values[s->norms[i].value].shape;
        if (shape->rank == 4 && nac_survey_positions(s, s->norms[i].value) > 1) return false;
        if (shape->rank != 3 || shape->dims[1] == 1) continue;
        if (count++ > 0 && shape->dims[1] != tokens) return false;
        tokens = shape->dims[1];
    }
    return count >= 2;
}

/* The norms in front of the last blocks' MLPs, deepest first. */
static int tap_blocks(const nac_survey *s, nac_graph_tap *taps, int found) {
    const int behind = found > 0 ? s->graph->values[taps[0].value].producer : s->graph->node_count;
    for (int i = s->norm_count - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const nac_layer_norm *norm = &s->norms[i];
        const nac_value *value = &s->graph->values[norm->value];
        if (norm->node < behind && value->name && value->shape.rank == 3 && precedes_mlp(s, norm)) taps[found++] = make_tap(norm->value, NAC_POOL_SUM);
    }
    return found;
}

/* ---- Stages ----------------------------------------------------------------------------------------- */

/* The last block's output at each number of positions above `covered`, from cuts[before] back. */
static int tap_stages(const nac_survey *s, nac_graph_tap *taps, int found, int before, int covered) {
    for (int i = before - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const int value = s->cuts[i], size = nac_survey_positions(s, value);
        /* A norm behind a stage belongs to what makes the next one of it. */
        if (!s->graph->values[value].name || s->inside_norm[value] || size <= 1 || size <= covered) continue;
        covered = size;
        i = nac_survey_block_end(s, i);
        taps[found++] = make_tap(s->cuts[i], nac_survey_pool(s, s->cuts[i]));
    }
    return found;
}

/* From cuts[0, features). */
static int choose(const nac_survey *s, int features, nac_graph_tap *taps) {
    /* The tensor that the global pool reads says the same as the pool: its sums of z and g are multiples of the pool's. So is
     * everything of its size passed over, as the authors leave out ResNet's layer4. */
    int cut, covered = 0, found = 0;
    nac_graph_tap tap;
    if (find_classifier_input(s, features, &tap, &cut, &covered)) taps[found++] = tap;
    else cut = features;
    return is_isotropic(s) ? tap_blocks(s, taps, found) : tap_stages(s, taps, found, cut, covered);
}

nac_status nac_graph_auto_taps(const nac_graph *graph, nac_graph_tap taps[NAC_AUTO_TAPS], int *count, nac_error *error) {
    nac_survey s;
    const nac_status status = nac_survey_make(&s, graph, error);
    if (status == NAC_OK) *count = choose(&s, count_features(&s), taps);
    /* The only product makes the logits: they are all that there is. */
    if (status == NAC_OK && *count == 0) *count = choose(&s, s.cut_count, taps);
    nac_survey_free(&s);
    return status;
}

static int compare_taps(const void *a, const void *b) {
    const int x = ((const nac_graph_tap *)a)->value, y = ((const nac_graph_tap *)b)->value;
    return x < y ? -1 : x > y;
}

nac_status nac_graph_tap_candidates(const nac_graph *graph, nac_graph_tap **candidates, int *count, nac_error *error) {
    nac_survey s;
    nac_graph_tap *found = NULL;
    int n = 0;
    nac_status status = nac_survey_make(&s, graph, error);
    if (status == NAC_OK && !(found = nac_alloc_array((size_t)s.cut_count + (size_t)s.norm_count + 1, sizeof *found)))
        status = nac_out_of_memory(error, "the search for taps");
    if (status == NAC_OK) {
        for (int i = 0; i < s.cut_count; ++i)
            if (graph->values[s.cuts[i]].name) found[n++] = make_tap(s.cuts[i], nac_survey_pool(&s, s.cuts[i]));
        for (int i = 0; i < s.norm_count; ++i)
            if (graph->values[s.norms[i].value].name) found[n++] = make_tap(s.norms[i].value, nac_survey_pool(&s, s.norms[i].value));
        qsort(found, (size_t)n, sizeof *found, compare_taps);
        int kept = 0; /* many norms are cuts, too */
        for (int i = 0; i < n; ++i)
            if (kept == 0 || found[kept - 1].value != found[i].value) found[kept++] = found[i];
        *candidates = found;
        *count = kept;
    }
    nac_survey_free(&s);
    return status;
}
