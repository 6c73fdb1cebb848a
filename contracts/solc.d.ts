/** The Solidity compiler, as far as it is used here: JSON in, JSON out. */
declare module "solc" {
  const solc: { compile(input: string): string };
  export default solc;
}
