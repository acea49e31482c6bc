/** A module's first comment is its description, without the tag that typedoc wants there. */
import { readFileSync } from "node:fs"
import { Comment, Converter, MinimalSourceFile, ReflectionKind } from "typedoc"

export const load = ({ converter }) =>
  converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const module of context.project.getReflectionsByKind(ReflectionKind.Module)) {
      const file = context.getSymbolFromReflection(module)?.declarations?.[0]?.getSourceFile().fileName
      const header = file && /^\/\*\*(.*?)\*\//s.exec(readFileSync(file, "utf8"))?.[1]
      if (header) {
        const text = header.replace(/^\s*\* ?/gm, "").split(/^@since/m)[0]
        const { content } = converter.parseRawComment(new MinimalSourceFile(text, file), context.project.files)
        module.comment = new Comment(content)
      }
    }
  })
