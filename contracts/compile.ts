/** Solidity to what is deployed. */
import solc from "solc";

export type Compiled = { abi: unknown[]; bytecode: string; deployedSizeBytes: number };

type Output = {
  errors?: { severity: string; formattedMessage: string }[];
  contracts?: Record<
    string,
    Record<string, { abi: unknown[]; evm: { bytecode: { object: string }; deployedBytecode: { object: string } } }>
  >;
};

/** The contract `name` of `source`. Throws with what the compiler says. */
export function compileSolidity(name: string, source: string): Compiled {
  const input = {
    language: "Solidity",
    sources: { [`${name}.sol`]: { content: source } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "cancun",
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const { errors = [], contracts = {} }: Output = JSON.parse(solc.compile(JSON.stringify(input)));
  const fatal = errors.find(({ severity }) => severity === "error");
  const compiled = contracts[`${name}.sol`]?.[name];
  if (compiled === undefined) throw new Error(fatal?.formattedMessage ?? `the source has no contract ${name}`);
  const { abi, evm } = compiled;
  return { abi, bytecode: evm.bytecode.object, deployedSizeBytes: evm.deployedBytecode.object.length / 2 };
}
