/* session.h - a session's insides, shared by session.c and session_info.c. */
#ifndef NAC_SESSION_H
#define NAC_SESSION_H

#include "backend/backend.h"
#include "graph/passes.h"

struct nac_session {
    nac_graph graph;
    nac_graph_tap *taps; /* [tap_count] */
    char **tap_names;    /* [tap_count]: as asked for */
    int *maps;           /* [tap_count]: [N,H,W,C] values, or NAC_NONE */
    int tap_count;
    nac_classifier classifier;
    int forward_count;   /* nodes [0, forward_count) are the forward pass and the pooling of z */
    nac_backend backend;
    nac_xnnpack *xnnpack; /* NULL: the reference backend */
    void *arena;
    size_t arena_bytes, weight_bytes;
    bool *liftable; /* [values], see tiny.c */
    bool keep_maps;
    char *candidates; /* JSON array, made before fusion drops names */
    char *info;
};

/* JSON array of the tensors worth tapping: [{name, pool, shape}]. The text is the caller's to free. */
nac_status nac_session_write_candidates(const nac_graph *graph, char **json, nac_error *error);

/* Fills session->info from the finished session. */
nac_status nac_session_write_info(nac_session *session, nac_error *error);

#endif
