// One streamed answer through the official client: what came of it, and what was thrown. Prints one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const result = { text: "" };

try {
  const stream = await client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }], stream: true });
  for await (const chunk of stream) {
    result.text += chunk.choices[0]?.delta?.content ?? "";
  }
} catch (error) {
  result.error = { name: error.constructor.name, type: error.type, code: error.code };
}

console.log(JSON.stringify(result));
