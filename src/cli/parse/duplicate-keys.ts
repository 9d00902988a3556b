const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g

/**
 * Returns the keys that occur twice in an object of a JSON text, with their path: `shop.id`. `JSON.parse` would silently keep the last
 * value.
 *
 * @param text valid JSON
 */
export function duplicateKeys(text: string): string[] {
  const found: string[] = []
  /** The objects and lists that contain the current token. Undefined stands for a list. */
  const open: ({ readonly keys: Set<string>; key: string } | undefined)[] = []
  let last = ''
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push({ keys: new Set(), key: '' })
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const object = open.at(-1)
      if (!object) continue
      object.key = JSON.parse(last) as string
      if (object.keys.has(object.key)) found.push(open.flatMap((outer) => outer?.key ?? []).join('.'))
      object.keys.add(object.key)
    }
    last = token
  }
  return found
}
