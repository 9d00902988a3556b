import { optionalPackage } from '../../optional-package.ts'

/**
 * Draws a Graphviz text as an SVG document; see `toDot`.
 *
 * @throws PikoError `PACKAGE_MISSING` without the optional package `@viz-js/viz`
 * @throws an error if Graphviz can't read the text
 */
export async function toSvg(dot: string): Promise<string> {
  // Loaded only here, because Graphviz is a megabyte of WebAssembly, and few processes draw anything.
  const { instance } = await optionalPackage('@viz-js/viz', 'a picture in SVG', () => import('@viz-js/viz'))
  const viz = await instance()
  return viz.renderString(dot, { format: 'svg' })
}
