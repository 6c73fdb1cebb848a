import { floats, type Quality, textTensor } from "@tallystick/protocol";
import { openModel } from "../load.ts";

/** A text, another of the same meaning in other words, and one that shares words but not the meaning. */
const TRIPLES: [string, string, string][] = [
  ["How do I reset my password?", "I forgot my login credentials", "How do I reset my watch?"],
  ["The weather is lovely today", "It is sunny and warm outside", "The weather report is lengthy"],
  ["The central bank raised interest rates", "Borrowing money became more expensive", "The river bank was flooded"],
  ["A man is playing a guitar", "Someone performs music on an instrument", "A man is playing football"],
  ["The flight was cancelled because of snow", "Bad weather grounded the plane", "The flight of birds in the snow"],
  [
    "She is reading a book in the library",
    "A woman studies among the shelves",
    "She booked a table at the library cafe",
  ],
  [
    "The company reported record profits",
    "The firm earned more than ever before",
    "The company kept a record of its staff",
  ],
  ["My dog is ill", "My puppy needs to see a vet", "My dog is brown"],
  ["Where can I buy train tickets?", "How do I purchase a rail fare?", "Where can I train my dog?"],
  ["The soup is too salty", "There is too much salt in this broth", "The soup is too cold"],
  ["He broke his leg while skiing", "He was injured on the ski slope", "He broke the record for skiing"],
  ["Please turn off the lights", "Switch the lamps off", "Please turn left at the lights"],
  ["The shop opens at nine", "Business hours begin at 9 am", "The shop sells nine kinds of cheese"],
  ["I would like to cancel my order", "Please stop my purchase", "I would like to order another one"],
  ["Children are playing in the park", "Kids have fun on the playground", "Cars are parked by the playground"],
  ["The car would not start this morning", "My vehicle's engine failed today", "The race starts this morning"],
];

/** How well texts find each other by meaning: among unlike texts, and against one of the same words. */
export async function measure(): Promise<Quality[]> {
  const model = await openModel("use-lite");
  const embed = async (texts: string[]) => {
    const embedding = (await model.answer([textTensor("text", texts)])).get("embedding");
    const values = embedding ? floats(embedding) : new Float32Array();
    return texts.map((_, i) => values.subarray(512 * i, 512 * (i + 1)));
  };
  const texts = await embed(TRIPLES.map(([text]) => text));
  const same = await embed(TRIPLES.map(([, meaning]) => meaning));
  const other = await embed(TRIPLES.map(([, , words]) => words));
  const found = texts.filter((text, i) => same.every((one, j) => j === i || dot(text, one) < dot(text, same[i])));
  const resisted = texts.filter((text, i) => dot(text, same[i]) > dot(text, other[i]));
  const on = `${TRIPLES.length} hand-written triples`;
  return [
    { metric: `paraphrase nearest of ${TRIPLES.length}`, value: `${found.length} of ${TRIPLES.length}`, on },
    { metric: "paraphrase nearer than shared words", value: `${resisted.length} of ${TRIPLES.length}`, on },
  ];
}

function dot(a: Float32Array, b: Float32Array | undefined): number {
  return a.reduce((sum, value, i) => sum + value * (b?.[i] ?? 0), 0);
}
