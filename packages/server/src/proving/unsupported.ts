/** A model that has no circuit. The message says what stands in the way, for the model's publisher. */
export class UnsupportedModel extends Error {
  override name = "UnsupportedModel";
}
