/** How many random cases each property is given: `FC_RUNS`, else a number that keeps the tests quick. */
export const RUNS = { numRuns: Number(process.env.FC_RUNS ?? 100) };
