import { InvalidArgumentError } from 'commander'
import { toError } from '../errors.ts'

/** @throws InvalidArgumentError for what is no JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new InvalidArgumentError(`expected JSON, such as '{"shop":"us"}': ${toError(error).message}`)
  }
}
