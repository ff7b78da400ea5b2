/* survey.h - what is known of a lowered graph's values when taps are looked for (taps.c, stages.c). */
#ifndef NAC_SURVEY_H
#define NAC_SURVEY_H

#include "graph/passes.h"

/* A layer or RMS normalisation of the last dim. */
typedef struct nac_layer_norm {
    int x;         /* what is normalised */
    int value;     /* the result behind gain and bias, where that has a name; otherwise the last named one */
    int node;      /* the producer of `value` */
} nac_layer_norm;

typedef struct nac_survey {
    const nac_graph *graph;
    int *uses;             /* [values] */
    int *reader;           /* [values]: the last node that reads it */
    bool *channels;        /* [values]: row-major, with its channels (a token's features) along the last dim */
    bool *inside_norm;     /* [values]: an intermediate or the result of a layer normalisation */
    nac_layer_norm *norms; /* in the order of nodes */
    int norm_count;
    int *cuts;             /* values that every path from input to logits runs through, in the order of nodes */
    int cut_count;
    bool *is_cut;          /* [values] */
    int first_product;     /* node: what is in front of it is the image, moved or scaled */
    int sequence;          /* tokens of the first layer norm whose tokens lie in front of the batch; 0: there is none */
} nac_survey;

/* nac_survey_free also after a failure. */
nac_status nac_survey_make(nac_survey *survey, const nac_graph *graph, nac_error *error);
void nac_survey_free(nac_survey *survey);

/* The value whose numbers a node's output holds in other places, so that a tap on it says nothing new; or NAC_NONE. */
int nac_survey_moved(const nac_graph *graph, const nac_node *node);

/* How many positions a value has: pixels of an image, tokens of a sequence; 0 where it has none or nobody knows its channels. */
int nac_survey_positions(const nac_survey *survey, int value);

/* The pool that sums over the positions. */
nac_pool nac_survey_pool(const nac_survey *survey, int value);

/* The node that computed a value's numbers: the producer, but for reshapes. */
const nac_node *nac_survey_computed_by(const nac_graph *graph, int value);

/* The last block's output among cuts[0..last], where cuts[last] is the last of its number of positions: an index, `last` itself
 * where nothing behind the block is known to belong to the next one. stages.c. */
int nac_survey_block_end(const nac_survey *survey, int last);

/* Whether cuts[cut] is where branches are added or put side by side. stages.c. */
bool nac_survey_joins(const nac_survey *survey, int cut);

#endif
