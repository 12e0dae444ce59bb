// One call of a client that is set up by default: it tries again by itself where it is told that this makes sense. Prints one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);

try {
  const answer = await new OpenAI({ baseURL, apiKey }).chat.completions.create({ model, max_tokens: 10000, messages: [{ role: "user", content: "Hi" }] });
  console.log(JSON.stringify({ text: answer.choices[0].message.content }));
} catch (error) {
  const { budget } = error.error;
  console.log(JSON.stringify({ name: error.constructor.name, status: error.status, type: error.type, code: error.code, budget: budget.name, retryable: budget.retryable }));
}
