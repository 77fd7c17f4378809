// Whether the document on standard input is a valid OpenAPI document, by the official JSON schema of its version: prints the version, or the errors.
import { Validator } from '@seriousme/openapi-schema-validator';
import { readFileSync } from 'node:fs';

const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(0, 'utf8')));
if (!result.valid) {
  console.error(typeof result.errors === 'string' ? result.errors : JSON.stringify(result.errors, null, 1));
  process.exit(1);
}
// Throws for a $ref that leads nowhere.
validator.resolveRefs();
console.log(validator.version);
