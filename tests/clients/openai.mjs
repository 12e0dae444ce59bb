// What an application does with the official client: only base URL and key differ from talking to OpenAI. Prints one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey, chatModel, embeddingModel] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const tags = { project: "apollo", Team: "search" };
const result = {};

const whole = await client.chat.completions
  .create({ model: chatModel, messages: [{ role: "user", content: "Hi" }], metadata: { tags }, user: "end-user-1" })
  .withResponse();
result.whole = {
  text: whole.data.choices[0].message.content,
  usage: whole.data.usage,
  requestId: whole.response.headers.get("x-request-id"),
  sdkRequestId: whole.data._request_id,
  cost: whole.response.headers.get("x-dvara-cost-usd"),
};

for (const includeUsage of [false, true]) {
  const call = await client.chat.completions
    .create({
      model: chatModel,
      messages: [{ role: "user", content: "Hi" }],
      stream: true,
      ...(includeUsage ? { stream_options: { include_usage: true } } : {}),
      metadata: { tags },
    })
    .withResponse();
  let text = "";
  let usage;
  let usageMembers = 0;
  let chunks = 0;
  for await (const chunk of call.data) {
    chunks++;
    usageMembers += "usage" in chunk ? 1 : 0;
    usage = chunk.usage ?? usage;
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  result[includeUsage ? "streamWithUsage" : "stream"] = {
    text, usage, usageMembers, chunks, requestId: call.response.headers.get("x-request-id"),
  };
}

const embedding = await client.embeddings.create({ model: embeddingModel, input: "Hello world" });
result.embedding = { dimensions: embedding.data[0].embedding.length, usage: embedding.usage };

result.models = (await client.models.list()).data.map((model) => model.id);
result.model = (await client.models.retrieve(result.models[0])).id;

try {
  await new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 }).models.list();
} catch (error) {
  result.wrongKey = { name: error.constructor.name, status: error.status, code: error.code, type: error.type, requestID: error.requestID };
}

try {
  await client.chat.completions.create({ model: chatModel, messages: [{ role: "user", content: "Hi" }], metadata: { tags: { a: 1 } } });
} catch (error) {
  result.badTag = { name: error.constructor.name, status: error.status, code: error.code, param: error.param };
}

console.log(JSON.stringify(result));
