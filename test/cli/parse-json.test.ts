import { expect, it } from 'vitest'
import { parseJson } from '../../src/cli/parse/parse-json.ts'

it.each([
  '1',
  '1.0',
  '-0',
  '0.1',
  '0.30000000000000004',
  '0.10000000000000001',
  '9007199254740991',
  '9007199254740994',
  '1e22',
  '1E-7',
  '0e400',
  '100000000000000000000000',
  '{"id":"12345678901234567890","n":[1.50,2e3]}',
])('accepts %s', (text) => {
  expect(parseJson(text)).toStrictEqual(JSON.parse(text))
})

it.each([
  ['{"id":12345678901234567890}', '12345678901234567890 would become 12345678901234567000'],
  ['[9007199254740993]', '9007199254740993 would become 9007199254740992'],
  ['1e400', '1e400 would become Infinity'],
  ['-1e400', '-1e400 would become -Infinity'],
  ['1e-400', '1e-400 would become 0'],
  ['12345678901234567.89', '12345678901234567.89 would become 12345678901234568'],
])('refuses %s', (text, problem) => {
  expect(() => parseJson(text)).toThrow(problem)
})

it('names all numbers that would change', () => {
  expect(() => parseJson('[9007199254740993, 1e999]')).toThrow(/9007199254740993 would .+; 1e999 would become Infinity/)
})

it.each([
  ['{"a":1,"a":2}', 'a'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['{"shop":{"id":1,"name":"x","id":2}}', 'shop.id'],
  ['{"list":[{"a":1},{"b":1,"b":[]}]}', 'list.b'],
  ['{"":1,"":2,"x":{"y":{},"y":[1]}}', ', x.y'],
  [' { "__proto__" : 1 , "__proto__" : 2 } ', '__proto__'],
])('refuses %s, where a key occurs twice', (text, keys) => {
  expect(() => parseJson(text)).toThrow(`some keys occur twice in one object: ${keys}; keep one of each`)
})

it.each([
  '[{"a":1},{"a":2}]',
  '{"a":{"a":{"a":1}},"b":{"a":1}}',
  '{"a":"\\"a\\":1,\\"a\\":2","b":"{\\\\"}',
  '{"a":["a","a",":","a"],"A":1}',
])('accepts %s', (text) => {
  expect(parseJson(text)).toStrictEqual(JSON.parse(text))
})
