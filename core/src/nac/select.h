/* select.h - the smallest few of many numbers. */
#ifndef NAC_SELECT_H
#define NAC_SELECT_H

/* A heap with the largest kept number on top. `kept` [capacity] is the caller's; count starts at 0. */
typedef struct nac_smallest {
    float *kept;
    int capacity, count;
} nac_smallest;

/* Keeps value if it is among the `capacity` smallest so far; NaN never is once the heap is full. O(log capacity), O(1) where it is not. */
static inline void nac_smallest_offer(nac_smallest *s, float value) {
    float *heap = s->kept;
    int at;
    if (s->count < s->capacity) {
        for (at = s->count++; at > 0 && heap[(at - 1) / 2] < value; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
        heap[at] = value;
        return;
    }
    if (!(value < heap[0])) return;
    for (at = 0;;) {
        int child = 2 * at + 1;
        if (child >= s->count) break;
        if (child + 1 < s->count && heap[child + 1] > heap[child]) ++child;
        if (!(heap[child] > value)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

#endif
