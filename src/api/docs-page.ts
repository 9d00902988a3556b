import { nounOf } from './openapi.ts'
import type { AnyRoute } from './routes.ts'

/** Creates a page for people, with all operations and their examples. The page loads no other files. */
export function docsPage(routes: readonly AnyRoute[], base: string): string {
  const nouns = [...new Set(routes.map(({ id }) => nounOf(id)))]
  const links = nouns.map((noun) => `<a href="#${noun}">${noun}</a>`).join(' ')
  const sections = nouns.map((noun) => {
    const shown = routes.filter(({ id }) => nounOf(id) === noun).map((route) => operation(route, base))
    return `<h2 id="${noun}">${noun}</h2>\n${shown.join('\n')}`
  })
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Piko API</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Piko API</h1>
<p>All operations are below <code>${text(base)}</code>. <a href="${text(base)}/openapi.json">openapi.json</a> has their schemas.</p>
<nav>${links}</nav>
<main>
${sections.join('\n')}
</main>
</body>
</html>
`
}

function operation(
  { id, method, path, role, isPublic, summary, description, query, example }: AnyRoute,
  base: string,
): string {
  const names = Object.keys(query.shape)
  const rows = [
    ...(description === undefined ? [] : [`<p>${text(description)}</p>`]),
    ...(names.length === 0 ? [] : [`<p>Query: ${names.map((name) => `<code>${text(name)}</code>`).join(', ')}</p>`]),
    ...(example.body === undefined ? [] : [`<p>Body:</p><pre>${json(example.body)}</pre>`]),
    ...(example.answer === undefined
      ? []
      : [
          `<p>Answer:</p><pre>${typeof example.answer === 'string' ? text(example.answer) : json(example.answer)}</pre>`,
        ]),
  ]
  return `<details id="${id}">
<summary><code>${method} ${text(`${base}${path}`)}</code> ${text(summary)}</summary>
<p><code>${id}</code>, ${isPublic ? 'no token is needed' : `role ${role}`}</p>
${rows.join('\n')}
</details>`
}

function json(value: unknown): string {
  return text(JSON.stringify(value, undefined, 2))
}

function text(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

const STYLE = `
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { margin: 0 auto; max-width: 60rem; padding: 1rem }
nav a { margin-right: .75rem }
details { border-bottom: 1px solid #8884; padding: .4rem 0 }
summary { cursor: pointer }
pre { background: #8882; border-radius: 4px; overflow: auto; padding: .75rem }
`
