/* Exact sums of products of 8-bit weights and 8-bit activations, a few rows of both at a time. */
#pragma once
#include "activations.h"

#define WEIGHT_ROWS 4     /* of a tile: each load of activations serves so many weight rows */
#define BLOCK_ROWS 32     /* weight rows that a thread takes at a time */

/* Weights that a tile calls into the cache while it computes, for a later one. */
typedef struct {
    long distance;         /* in bytes from the tile's own weights */
    int rows;              /* which of its WEIGHT_ROWS, a bit each; 0: none */
} ahead;

/* Sums of WEIGHT_ROWS x rows products over columns, added to what stands in `into` (rows, BLOCK_ROWS). */
INLINE void tile(int rows, const int8_t *weights, long stride, const int8_t *values, long width, long columns,
                 int32_t *into, int is_first, ahead next) {
    sums found[MOST_ROWS][WEIGHT_ROWS];
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = no_sums();
    long whole = columns / BYTES * BYTES;
    for (long k = 0; k < whole; k += BYTES) {
        bytes part[WEIGHT_ROWS];
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) {
            if (next.rows >> n & 1) __builtin_prefetch(weights + n * stride + k + next.distance);
            part[n] = offset(load_bytes(weights + n * stride + k));
        }
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            bytes activation = load_bytes(values + m * width + k);
            LOAD_ONCE(activation);
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = dot(found[m][n], part[n], activation);
        }
    }
    if (whole < columns) {
        bytes part[WEIGHT_ROWS];
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++)
            part[n] = offset(load_some_bytes(weights + n * stride + whole, columns - whole));
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            bytes activation = load_some_bytes(values + m * width + whole, columns - whole);
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = dot(found[m][n], part[n], activation);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
        int32_t four[WEIGHT_ROWS];
        total_four(found[m][0], found[m][1], found[m][2], found[m][3], four);
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++)
            into[m * BLOCK_ROWS + n] = is_first ? four[n] : into[m * BLOCK_ROWS + n] + four[n];
    }
}

static void some_tile(int rows, const int8_t *weights, long stride, const int8_t *values, long width, long columns,
                      int32_t *into, int is_first, ahead next) {
#define TILE(count) tile(count < MOST_ROWS ? count : MOST_ROWS, weights, stride, values, width, columns, into, is_first, next)
    switch (rows) {
    case 1: next.rows = 0, TILE(1); break; /* its weights come in one straight line, which needs no calling */
    case 2: TILE(2); break;
    case 3: TILE(3); break;
    case 4: TILE(4); break;
    case 5: TILE(5); break;
    default: TILE(6); break;
    }
#undef TILE
}

/* From integer sums (rows, BLOCK_ROWS) to results: one block's columns of (rows, all_rows).

   `weight_at` gives the weight of one of the block's rows and a column, for the activations multiplied as floats. */
INLINE void finish(const int32_t *sums_, float (*weight_at)(const void *, long, long), const void *weights,
                   const float *weight_scales, const void *bias, int type, long weight_rows, const activations *x,
                   void *to, long all_rows, long first_row) {
    float factors[BLOCK_ROWS], added[BLOCK_ROWS], values[BLOCK_ROWS];
    for (long n = 0; n < weight_rows; n++) {
        factors[n] = weight_scales[first_row + n] / 127.0f;
        added[n] = bias ? widen_one(type, (const char *)bias + (first_row + n) * element_bytes(type)) : 0;
    }
    for (long m = 0; m < x->rows; m++) {
        const outlier *outliers = x->outliers + m * x->most_outliers;
        uint32_t shift = (uint32_t)OFFSET * (uint32_t)x->totals[m];
        for (long n = 0; n < weight_rows; n++)
            values[n] = (float)(int32_t)((uint32_t)sums_[m * BLOCK_ROWS + n] - shift) * x->scales[m];
        for (int32_t i = 0; i < x->outlier_counts[m]; i++)
            for (long n = 0; n < weight_rows; n++)
                values[n] += outliers[i].value * weight_at(weights, first_row + n, outliers[i].column);
        for (long n = 0; n < weight_rows; n++) values[n] *= factors[n];
        for (long n = 0; bias && n < weight_rows; n++) values[n] += added[n];
        long at = m * all_rows + first_row;
        if (type == FLOAT32) memcpy((float *)to + at, values, (size_t)weight_rows * sizeof(float));
        else for (long n = 0; n < weight_rows; n++) ((uint16_t *)to)[at + n] = to_bfloat16(values[n]);
    }
}
