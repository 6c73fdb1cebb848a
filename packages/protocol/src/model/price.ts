/** What a call of a model costs: so much a call, and so much a million units. */

/** A model's price, in atomic units. */
export type Price = {
  priceAtomic: bigint;
  /** A million of the manifest's units; of a language model, a million input tokens. */
  unitPriceAtomic: bigint;
  /** A million output tokens. */
  outputUnitPriceAtomic: bigint;
};

const MILLION = 1_000_000n;

/** The price of a call of so many units, rounded up to an atomic unit. */
export function priceOf(price: Price, units: number, outputUnits = 0): bigint {
  const metered = price.unitPriceAtomic * BigInt(units) + price.outputUnitPriceAtomic * BigInt(outputUnits);
  return price.priceAtomic + (metered + MILLION - 1n) / MILLION;
}

/** The most that a call can cost whose requester allows `maxPriceAtomic`: less, where nothing is counted. */
export function mostOf(price: Price, maxPriceAtomic: bigint): bigint {
  const isMetered = price.unitPriceAtomic > 0n || price.outputUnitPriceAtomic > 0n;
  return isMetered || price.priceAtomic > maxPriceAtomic ? maxPriceAtomic : price.priceAtomic;
}

/** Whether every call of it is free. */
export function isFree({ priceAtomic, unitPriceAtomic, outputUnitPriceAtomic }: Price): boolean {
  return priceAtomic === 0n && unitPriceAtomic === 0n && outputUnitPriceAtomic === 0n;
}
