/** The matrix: stock clients, as they are and with ours around them, against one daemon that is run as `npm start` runs it. */
import "./openai.ts";
import "./ai-sdk.ts";
import "./langchain.ts";
