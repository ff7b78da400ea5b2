/* taps.c - which tensors of a network are worth tapping, and how each is pooled. */
#include <stdlib.h>

#include "graph/passes.h"
#include "graph/survey.h"

static nac_graph_tap make_tap(int value, nac_pool pool) { return (nac_graph_tap){.value = value, .pool = pool, .z = NAC_NONE, .g = NAC_NONE}; }

/* ---- The classifier's input ------------------------------------------------------------------------ */

/* Whether a value is only read for single tokens, the first among them; a distilled DeiT reads the second, too. */
static bool is_read_for_first_token(const nac_survey *s, int value) {
    const nac_graph *graph = s->graph;
    const int axis = nac_graph_token_axis(graph, value);
    bool first = false;
    if (graph->values[value].shape.rank != 3) return false;
    for (int n = graph->values[value].producer + 1; n <= s->reader[value]; ++n) {
        const nac_node *node = &graph->nodes[n];
        bool reads = false;
        for (int i = 0; i < node->input_count; ++i) reads = reads || node->inputs[i] == value;
        if (!reads) continue;
        if (node->op != NAC_OP_SLICE || graph->values[node->output].shape.dims[axis] != 1) return false;
        first = first || node->u.slice.starts[axis] == 0;
    }
    return first;
}

/* How many cuts stand in front of the last product. What is behind it is logits, be it a map of them that is pooled (SqueezeNet); unless
 * it makes something else than classes, and the logits are distances. */
static int count_features(const nac_survey *s) {
    const nac_graph *graph = s->graph;
    const int K = graph->values[graph->logits].shape.dims[1];
    int product = graph->node_count - 1, count = s->cut_count;
    while (product >= 0 && graph->nodes[product].op != NAC_OP_MATMUL && graph->nodes[product].op != NAC_OP_CONV) --product;
    const nac_shape *made = product < 0 ? NULL : &graph->values[graph->nodes[product].output].shape;
    while (made && made->dims[made->rank - 1] == K && count > 0 && graph->values[s->cuts[count - 1]].producer >= product) --count;
    return count;
}

/* How many positions a node sums over, or takes the largest of: of an image whose pixels were put in a row before, too. */
static int positions_read(const nac_survey *s, const nac_node *node) {
    const nac_graph *graph = s->graph;
    int value = node->inputs[0], positions;
    while ((positions = nac_survey_positions(s, value)) == 0 && graph->values[value].producer != NAC_NONE) {
        node = &graph->nodes[graph->values[value].producer];
        if (node->op != NAC_OP_RESHAPE && node->op != NAC_OP_TRANSPOSE) break;
        value = node->inputs[0];
    }
    return positions;
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
            *tap = last_norm == NAC_NONE ? make_tap(value, NAC_POOL_CLS) : make_tap(last_norm, nac_survey_pool(s, last_norm));
            *cut += last_norm != NAC_NONE; /* the tokens are no tap yet */
            *covered = 0;
            return true;
        }
        if (reduces && !s->inside_norm[producer->output] && positions_read(s, producer) > 1 && nac_survey_positions(s, value) <= 1) {
            *covered = positions_read(s, producer);
            if (last_norm != NAC_NONE) *tap = make_tap(last_norm, nac_survey_pool(s, last_norm));
            else *tap = make_tap(value, nac_survey_pool(s, value));
            return true;
        }
        /* Going back, so that it ends as the norm nearest to the pool, and of that one its result. */
        for (int k = 0; k < s->norm_count; ++k)
            if (s->norms[k].value == value && nac_survey_positions(s, value) <= 1) last_norm = value;
        if (before_product == NAC_NONE && (graph->values[value].shape.rank == 2 || nac_survey_positions(s, value) == 1)) before_product = i;
    }
    if (before_product == NAC_NONE) return false;
    *cut = before_product;
    *tap = make_tap(s->cuts[before_product], NAC_POOL_SUM);
    *covered = positions_read(s, nac_survey_computed_by(graph, s->cuts[before_product]));
    return true;
}

/* ---- Transformers ---------------------------------------------------------------------------------- */

/* What a value's numbers were before they were moved. */
static int origin_of(const nac_graph *graph, int value) {
    for (int producer; (producer = graph->values[value].producer) != NAC_NONE;) {
        const int moved = nac_survey_moved(graph, &graph->nodes[producer]);
        if (moved == NAC_NONE) break;
        value = moved;
    }
    return value;
}

/* Whether a norm reads what goes from block to block, and not a block's queries, gates or reduced keys. */
static bool reads_stream(const nac_survey *s, const nac_layer_norm *norm) {
    return s->is_cut[norm->x] || s->is_cut[origin_of(s->graph, norm->x)];
}

/* Whether a node puts something else than channels along the last dim, as mixing tokens begins. */
static bool moves_channels(const nac_graph *graph, const nac_node *node) {
    const int last = graph->values[node->output].shape.rank - 1;
    return node->op == NAC_OP_TRANSPOSE && node->u.transpose.perm[last] != last;
}

/* Whether a norm stands in front of a block's MLP: between it and the sum that joins the block to its input are products, but neither a
 * softmax nor a step that mixes tokens. */
static bool precedes_mlp(const nac_survey *s, const nac_layer_norm *norm) {
    int end = s->graph->node_count;
    bool products = false;
    for (int i = 0; i < s->cut_count; ++i) {
        const int producer = s->graph->values[s->cuts[i]].producer;
        if (producer > norm->node && !s->inside_norm[s->cuts[i]]) {
            end = producer;
            break;
        }
    }
    for (int n = norm->node + 1; n < end; ++n) {
        const nac_node *node = &s->graph->nodes[n];
        if (node->op == NAC_OP_SOFTMAX || moves_channels(s->graph, node)) return false;
        products = products || node->op == NAC_OP_MATMUL;
    }
    return products;
}

/* The tokens of a transformer of one resolution: at least two norms between blocks, of equally many tokens but for those that stand for the
 * whole image. 0 for a hierarchical one (Swin), which has stages, as convolutional networks have. */
static int count_tokens(const nac_survey *s) {
    int count = 0, least = 0, most = 0;
    for (int i = 0; i < s->norm_count; ++i) {
        const int tokens = nac_survey_positions(s, s->norms[i].value);
        if (tokens <= 1 || !reads_stream(s, &s->norms[i])) continue;
        if (s->graph->values[s->norms[i].value].shape.rank != 3) return 0;
        if (count == 0 || tokens < least) least = tokens;
        if (tokens > most) most = tokens;
        ++count;
    }
    return count >= 2 && most < 2 * least ? most : 0;
}

/* The norms in front of the last blocks' MLPs, deepest first. */
static int tap_blocks(const nac_survey *s, nac_graph_tap *taps, int found) {
    const int behind = found > 0 ? s->graph->values[taps[0].value].producer : s->graph->node_count;
    for (int i = s->norm_count - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const nac_layer_norm *norm = &s->norms[i];
        const nac_value *value = &s->graph->values[norm->value];
        if (norm->node < behind && value->name && value->shape.rank == 3 && reads_stream(s, norm) && precedes_mlp(s, norm))
            taps[found++] = make_tap(norm->value, NAC_POOL_SUM);
    }
    return found;
}

/* ---- Stages ----------------------------------------------------------------------------------------- */

/* The last block's output at each number of positions above `covered`, from cuts[before] back. */
static int tap_stages(const nac_survey *s, nac_graph_tap *taps, int found, int before, int covered) {
    for (int i = before - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const int value = s->cuts[i], size = nac_survey_positions(s, value);
        if (s->graph->values[value].producer < s->first_product) break;
        /* A norm behind a stage belongs to what makes the next one of it, and so does a choice of its pixels. */
        if (!s->graph->values[value].name || s->inside_norm[value] || size <= 1 || size <= covered) continue;
        if (nac_survey_computed_by(s->graph, value)->op == NAC_OP_SLICE) continue;
        covered = size;
        i = nac_survey_block_end(s, i);
        taps[found++] = make_tap(s->cuts[i], nac_survey_pool(s, s->cuts[i]));
    }
    return found;
}

/* The last sums: of a network of one resolution whose blocks begin with no norm that is known (ConvMixer, ResMLP, RMS norms). */
static int tap_sums(const nac_survey *s, nac_graph_tap *taps, int found, int before) {
    const int pooled = found > 0 ? origin_of(s->graph, nac_survey_computed_by(s->graph, taps[0].value)->inputs[0]) : NAC_NONE;
    for (int i = before - 1; i >= 0 && found < NAC_AUTO_TAPS; --i) {
        const int value = s->cuts[i];
        if (s->graph->values[value].name && value != pooled && !s->inside_norm[value] && nac_survey_positions(s, value) > 1 && nac_survey_joins(s, i))
            taps[found++] = make_tap(value, nac_survey_pool(s, value));
    }
    return found;
}

/* ---- Several networks in one ------------------------------------------------------------------------ */

/* The first name of what a product reads, or of the tokens of which it reads the first. False where that is the image, or another number of them. */
static bool find_head_input(const nac_survey *s, int value, nac_graph_tap *tap) {
    const nac_graph *graph = s->graph;
    int named = NAC_NONE;
    for (int producer; (producer = graph->values[value].producer) != NAC_NONE;) {
        const nac_node *node = &graph->nodes[producer];
        if (graph->values[value].name) named = value;
        if (node->op == NAC_OP_SLICE && is_read_for_first_token(s, node->inputs[0]) && graph->values[node->inputs[0]].name) {
            *tap = make_tap(node->inputs[0], NAC_POOL_CLS);
            return true;
        }
        const int moved = nac_survey_moved(graph, node);
        if (moved == NAC_NONE) break;
        value = moved;
    }
    if (named == NAC_NONE || graph->values[value].producer == NAC_NONE) return false;
    if (graph->values[named].shape.dims[0] != graph->values[graph->input].shape.dims[0]) return false;
    *tap = make_tap(named, nac_survey_pool(s, named));
    return true;
}

/* What each product that makes the classes reads: of an ensemble, of an image that is looked at twice, of branches with a head each, which no single
 * path runs through. */
static int tap_heads(const nac_survey *s, nac_graph_tap *taps) {
    const nac_graph *graph = s->graph;
    const int K = graph->values[graph->logits].shape.dims[1];
    int found = 0;
    for (int n = graph->node_count - 1; n >= 0 && found < NAC_AUTO_TAPS; --n) {
        const nac_node *node = &graph->nodes[n];
        const nac_shape *made = &graph->values[node->output].shape;
        if ((node->op != NAC_OP_MATMUL && node->op != NAC_OP_CONV) || made->dims[made->rank - 1] != K || !graph->values[node->inputs[1]].constant) continue;
        if (!find_head_input(s, node->inputs[0], &taps[found])) continue;
        bool known = false;
        for (int i = 0; i < found; ++i) known = known || taps[i].value == taps[found].value;
        found += !known;
    }
    return found;
}

/* ---- All ---------------------------------------------------------------------------------------------- */

/* From cuts[0, features). */
static int choose(const nac_survey *s, int features, nac_graph_tap *taps) {
    /* The tensor that the global pool reads says the same as the pool: its sums of z and g are multiples of the pool's. So is
     * everything of its size passed over, as the authors leave out ResNet's layer4. */
    int cut, covered = 0, found = 0;
    nac_graph_tap tap;
    if (find_classifier_input(s, features, &tap, &cut, &covered)) taps[found++] = tap;
    else cut = features;
    const int tokens = count_tokens(s);
    if (tokens > 0) {
        const int blocks = tap_blocks(s, taps, found);
        /* In front of few blocks a convolutional network may stand. */
        if (blocks > found) return tap_stages(s, taps, blocks, cut, tokens > covered ? tokens : covered);
    }
    const int stages = tap_stages(s, taps, found, cut, covered);
    const bool one = stages == found || (stages == found + 1 && s->graph->values[taps[found].value].shape.rank == 3);
    return one ? tap_sums(s, taps, found, cut) : stages;
}

nac_status nac_graph_auto_taps(const nac_graph *graph, nac_graph_tap taps[NAC_AUTO_TAPS], int *count, nac_error *error) {
    nac_survey s;
    const nac_status status = nac_survey_make(&s, graph, error);
    if (status == NAC_OK) *count = choose(&s, count_features(&s), taps);
    if (status == NAC_OK && *count == 0) *count = tap_heads(&s, taps);
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
