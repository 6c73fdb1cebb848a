// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What Barretenberg writes for a circuit: one verifier for an architecture and a number of calls, whatever the weights are.
interface IVerifier {
    function verify(bytes calldata proof, bytes32[] calldata publicInputs) external view returns (bool);
}

/// Verifies that a model gave an answer (docs/spec/proof.md): the model is the one whose weights are committed to here.
contract ProvedAnswer {
    IVerifier public immutable verifier;
    /// The commitment to the weights, as the revision's manifest has it.
    bytes32 public immutable weights;

    error NotProved();

    constructor(IVerifier verifier_, bytes32 weights_) {
        verifier = verifier_;
        weights = weights_;
    }

    /// Reverts unless `proof` shows that the model gave `outputs` for the input behind the commitment `input`, in the call
    /// of the receipt `receiptId`.
    function requireProved(bytes calldata proof, bytes32 receiptId, bytes32 input, bytes32[] calldata outputs) external view {
        bytes32[] memory publicInputs = new bytes32[](4 + outputs.length);
        publicInputs[0] = receiptId >> 128;
        publicInputs[1] = bytes32(uint256(uint128(uint256(receiptId))));
        publicInputs[2] = weights;
        publicInputs[3] = input;
        for (uint256 i = 0; i < outputs.length; i++) publicInputs[4 + i] = outputs[i];
        // A verifier reverts at what is no proof, and may say false to what is one of something else.
        if (!verifier.verify(proof, publicInputs)) revert NotProved();
    }
}
