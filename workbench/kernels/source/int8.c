/* Products with 8-bit weights: activations in 8 bits with a scale a row, sums in exact integers.

   A row's result is made of integers that have no order of summing, and of the same few float operations in the same
   order: it depends on that row alone, not on how many rows are computed together, or on the machine. */
#include "tiles.h"

#define FEW_ROWS 40       /* so few rows of activations go over whole weight rows */
#define FEW_BYTES 131072  /* of weights in a block then: a part of the core's own cache */
#define CHUNK 4096        /* columns of a tile of more rows: it stays in the nearest cache */

typedef struct { const int8_t *values; long columns; } matrix;

INLINE float weight_at(const void *weights, long row, long column) {
    const matrix *of = weights;
    return (float)of->values[row * of->columns + column];
}

/* The weight rows that fill no tile. */
static void last_rows(const int8_t *weights, long weight_rows, const activations *x, long columns, int32_t *into) {
    for (long n = weight_rows / WEIGHT_ROWS * WEIGHT_ROWS; n < weight_rows; n++)
        for (long m = 0; m < x->rows; m++) {
            int32_t sum = 0;
            for (long k = 0; k < columns; k++) sum += (int32_t)weights[n * columns + k] * x->values[m * x->stride + k];
            into[m * BLOCK_ROWS + n] = sum + OFFSET * x->totals[m];
        }
}

/* Integer sums of one block of weight rows with all activations: into (rows, BLOCK_ROWS).

   Each pass of the activations over the block calls a part of what comes after it: the next columns, or the next block;
   a single pass calls what it needs soon itself.

   Args:
       weight_rows: of the block, at most BLOCK_ROWS.
       rows_left: weight rows from the block's first on. */
static void block(const int8_t *weights, long weight_rows, long rows_left, const activations *x, long columns,
                  int32_t *into) {
    long chunk = x->rows <= FEW_ROWS ? columns : CHUNK;
    long passes = (x->rows + MOST_ROWS - 1) / MOST_ROWS;
    for (long k = 0; k < columns; k += chunk) {
        long width = columns - k < chunk ? columns - k : chunk;
        ahead next = {k + chunk < columns ? chunk : weight_rows * columns - k, 0};
        if (passes == 1) next.distance = columns > CHUNK ? CHUNK / 2 : WEIGHT_ROWS * columns;
        int has_next = k + 2 * chunk <= columns || rows_left >= 2 * weight_rows;
        for (long t = 0; t < passes; t++) {
            long first = x->rows * t / passes, count = x->rows * (t + 1) / passes - first;
            next.rows = 0;
            for (int n = 0; has_next && n < WEIGHT_ROWS; n++) next.rows |= (n % passes == t) << n;
            for (long n = 0; n + WEIGHT_ROWS <= weight_rows; n += WEIGHT_ROWS)
                some_tile((int)count, weights + n * columns + k, columns, x->values + first * x->stride + k, x->stride,
                          width, into + first * BLOCK_ROWS + n, k == 0, next);
        }
    }
    last_rows(weights, weight_rows, x, columns, into);
}

/* How many weight rows make a block. */
static long block_rows(long rows, long columns) {
    long fitting = FEW_BYTES / (columns ? columns : 1) / WEIGHT_ROWS * WEIGHT_ROWS;
    if (rows > FEW_ROWS || fitting > BLOCK_ROWS) return BLOCK_ROWS;
    return fitting < WEIGHT_ROWS ? WEIGHT_ROWS : fitting;
}

/* to (rows, weight_rows) = from (rows, columns) x weights (weight_rows, columns)^T * scales / 127 + bias.

   `type` is that of from, bias and to: FLOAT32 or BFLOAT16. Returns 0, or 1 where memory is short. */
int int8_linear(int type, const void *from, long rows, long columns, const int8_t *weights, const float *weight_scales,
                const void *bias, long weight_rows, void *to, int threads) {
    activations x;
    matrix all = {weights, columns};
    long step = block_rows(rows, columns);
    int failed = quantise_rows(type, from, rows, columns, columns, &x, threads);
    if (!failed) {
#pragma omp parallel num_threads(threads) reduction(| : failed)
        {
            int32_t *into = malloc((size_t)(rows * BLOCK_ROWS) * sizeof(int32_t));
            failed = !into;
#pragma omp for schedule(dynamic, 4)
            for (long n = 0; n < weight_rows; n += step) {
                long count = weight_rows - n < step ? weight_rows - n : step;
                if (!into) continue;
                block(weights + n * columns, count, weight_rows - n, &x, columns, into);
                finish(into, weight_at, &all, weight_scales, bias, type, count, &x, to, weight_rows, n);
            }
            free(into);
        }
    }
    forget(&x);
    return failed;
}

#ifdef _OPENMP
#define CORES ""
#else
#define CORES " on one core (the compiler has no OpenMP)"
#endif

/* What the kernels were compiled for. */
const char *instructions(void) { return INSTRUCTIONS CORES; }
