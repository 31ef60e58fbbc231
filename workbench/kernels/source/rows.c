/* Products with float weights for a few rows: each weight is read once, each row's sums have an order of their own. */
#include <stdlib.h>
#include "vectors.h"

#define WEIGHT_ROWS 4
#define BLOCK_ROWS 16     /* weight rows that a thread takes at a time */

/* WEIGHT_ROWS x rows results: each the lanes' sums from the first column on, then the columns that fill no vector. */
INLINE void tile(int rows, int type, const char *weights, long columns, const float *values,
                 float (*into)[WEIGHT_ROWS]) {
    floats found[MOST_ROWS][WEIGHT_ROWS];
    long stride = columns * element_bytes(type), whole = columns / LANES * LANES;
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = no_floats();
    for (long k = 0; k < whole; k += LANES) {
        floats part[WEIGHT_ROWS];
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) part[n] = widen(type, weights + n * stride + k * element_bytes(type));
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            floats value = load_floats(values + m * columns + k);
            LOAD_ONCE(value);
#pragma GCC unroll 4
            for (int n = 0; n < WEIGHT_ROWS; n++) found[m][n] = multiply_add(part[n], value, found[m][n]);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int n = 0; n < WEIGHT_ROWS; n++) {
            float sum = total(found[m][n]);
            for (long k = whole; k < columns; k++)
                sum += widen_one(type, weights + n * stride + k * element_bytes(type)) * values[m * columns + k];
            into[m][n] = sum;
        }
}

INLINE void some_tile(int rows, int type, const char *weights, long columns, const float *values,
                      float (*into)[WEIGHT_ROWS]) {
#define TILE(count) tile(count < MOST_ROWS ? count : MOST_ROWS, type, weights, columns, values, into)
    switch (rows) {
    case 1: TILE(1); break;
    case 2: TILE(2); break;
    case 3: TILE(3); break;
    case 4: TILE(4); break;
    case 5: TILE(5); break;
    default: TILE(6); break;
    }
#undef TILE
}

static void typed_tile(int rows, int type, const char *weights, long columns, const float *values,
                       float (*into)[WEIGHT_ROWS]) {
    if (type == BFLOAT16) some_tile(rows, BFLOAT16, weights, columns, values, into);
    else if (type == FLOAT16) some_tile(rows, FLOAT16, weights, columns, values, into);
    else some_tile(rows, FLOAT32, weights, columns, values, into);
}

/* A block of weight rows from `first` to `end`, WEIGHT_ROWS at a time; the last ones may be computed twice. */
static void block(int type, const char *weights, long first, long end, const float *values, long rows, long columns,
                  const void *bias, float *to, long weight_rows) {
    float found[MOST_ROWS][WEIGHT_ROWS];
    for (long at = first; at < end; at += WEIGHT_ROWS) {
        long n = at + WEIGHT_ROWS <= weight_rows ? at : weight_rows - WEIGHT_ROWS;
        long passes = (rows + MOST_ROWS - 1) / MOST_ROWS;
        for (long t = 0; t < passes; t++) {
            long m = rows * t / passes;
            int count = (int)(rows * (t + 1) / passes - m);
            const char *row = weights + n * columns * element_bytes(type);
            typed_tile(count, type, row, columns, values + m * columns, found);
            for (int i = 0; i < count; i++)
                for (long j = at - n; j < WEIGHT_ROWS; j++) {
                    float value = found[i][j];
                    if (bias) value += widen_one(type, (const char *)bias + (n + j) * element_bytes(type));
                    to[(m + i) * weight_rows + n + j] = value;
                }
        }
    }
}

/* to (rows, weight_rows) = from (rows, columns) x weights (weight_rows, columns)^T + bias; at least 4 weight rows.

   `weight_type` is also the bias'. Returns 0, or 1 where memory is short. */
int row_linear(int from_type, const void *from, long rows, long columns, int weight_type, const void *weights,
               const void *bias, long weight_rows, float *to, int threads) {
    float *values = malloc((size_t)(rows * columns) * sizeof(float));
    if (!values) return 1;
    widen_row(from_type, from, rows * columns, values);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (long n = 0; n < weight_rows; n += BLOCK_ROWS) {
        long end = n + BLOCK_ROWS < weight_rows ? n + BLOCK_ROWS : weight_rows;
        block(weight_type, weights, n, end, values, rows, columns, bias, to, weight_rows);
    }
    free(values);
    return 0;
}

/* Reads memory once, as fast as it comes; gives a sum so that nothing is left out. */
float read_all(const float *from, long count, int threads) {
    float sum = 0;
    long part = 1 << 18;
#pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(+ : sum)
    for (long at = 0; at < count / part * part; at += part) {
        floats some[8];
        for (int i = 0; i < 8; i++) some[i] = no_floats();
        for (long k = at; k < at + part; k += 8 * LANES)
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                some[i] = multiply_add(load_floats(from + k + i * LANES), all_floats(1.0f), some[i]);
        for (int i = 0; i < 8; i++) sum += total(some[i]);
    }
    return sum;
}
