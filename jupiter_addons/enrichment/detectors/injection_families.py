"""The table of injection families: what each looks for, how much it weighs, and what kind of attack it belongs to.

A weight is the score of the family on its own.  From 0.7 up a text is an attack if nothing speaks against it; below 0.5 the
family is a hint that needs company.  Phrases are matched without regard to case, accents and look-alike letters.

Why phrases and not words: "ignore", "system prompt" and "instructions" fill honest texts about e-mail, prompts and machines.
What marks an attack is a verb of dropping or revealing *with* the model's own instructions as its object.

The file is long because a table is easier to review in one piece.
"""

from typing import Literal, NamedTuple

Kind = Literal["direct", "jailbreak", "indirect"]


class Family(NamedTuple):
    """One row."""

    weight: float
    kind: Kind
    pattern: str


def _phrases(*alternatives: str) -> str:
    """Return a pattern for phrases in which a blank stands for whatever separates two words of one line.

    ` ?` stands for what may separate them, `~` for up to three words of any kind.
    """
    between = r"[^0-9A-Za-z\n]+"
    joined = "|".join(alternatives)
    joined = joined.replace(" ?", between[:-1] + "?").replace(" ~ ", " (?:[0-9a-z']+ ){0,3}")
    return r"\b(?:" + joined.replace(" ", between) + ")"


_IGNORE = (
    r"(?:[i1]gn[o0]r[e3]|disregard|discard|forget|overrule|bypass|pay no attention to|(?:don't|do not|stop|no longer|cease) "
    r"(?:follow|following|obey|obeying|listen to|listening to|adhere to|comply with))"
)
_DROP = r"(?:override|neglect|dismiss|skip|erase|delete|drop|abandon)"
"""What one does to the rules of a firewall, too."""

_EARLIER = (
    r"(?:pr[e3]v[i1][o0]u[s5](?:ly)?|prior|above|earlier|preceding|foregoing|before|past|existing|original|initial|"
    r"old|system|former|given)"
)
_ORDERS = (
    r"(?:[i1]n[s5]truct[i1][o0]n[s5]?|directions|directives?|prompts?|rules?|guidelines?|guidance|commands?|orders|"
    r"constraints?|restrictions?|programming|training|context|policy|policies|safeguards)"
)
_BRIEFING = r"(?:[i1]n[s5]truct[i1][o0]n[s5]?|directives?|prompts?|guidelines?|programming|system messages?)"
_REVEAL = (
    r"(?:reveal|show|print|output|display|repeat|recite|leak|dump|expose|disclose|write out|spell out|tell|give|"
    r"return|share|echo|paste|reproduce|translate|summari[sz]e|encode|quote|what (?:is|are|was|were))"
)
_PROMPT = (
    r"(?:prompts?|instructions?|directives?|guidelines|system message|configuration|context window|initiali[sz]ation "
    r"(?:text|prompt|message))"
)
_SYSTEM = r"(?:system|hidden|initial|developer|internal|original|secret)"
_MODEL = (
    r"(?:(?:ai |llm )?(?:assistants?|agents?|models?|systems?|bots?|chatbots?)|ai|llms?|language models?|gpt|chatgpt|"
    r"claude|copilot|gemini)"
)
_USER = r"(?:users?|humans?|person|people|reader|operator|customer|anyone|anybody)"
_LIMITS = (
    r"(?:restrictions?|limitations?|limits|filters?|filtering|censorship|guidelines|ethics|ethical|moral(?:s|ity)?|"
    r"safeguards|guardrails|polic(?:y|ies)|protocols)"
)
_GOD = r"(?:god|sudo|unrestricted|jailbreak|dan|opposite|evil|unfiltered|uncensored)"
_DEVICE = r"(?:developer|dev|debug|admin(?:istrator)?|root|maintenance)"

FAMILIES: dict[str, Family] = {
    "ignore_instructions": Family(
        0.8,
        "direct",
        _phrases(
            rf"{_IGNORE} ~ {_EARLIER} (?:[a-z]+ )?(?:{_ORDERS}|system messages?)\b",
            rf"{_IGNORE} ~ system (?:prompt|message|instructions)s?\b",
            rf"{_DROP} ~ {_EARLIER} (?:[a-z]+ )?{_BRIEFING}\b",
            rf"{_EARLIER} {_ORDERS} (?:are|is) (?:now )?(?:void|invalid|cancell?ed|obsolete|no longer|revoked|"
            rf"replaced|superseded)\b",
            rf"(?:{_IGNORE}|{_DROP}) (?:all )?(?:of )?(?:your|ur|thy) (?:[a-z]+ )?{_ORDERS}\b",
            rf"{_IGNORE} ~ {_ORDERS} (?:you (?:have |were |are |'ve )?(?:been )?(?:given|told|received|got)|above|"
            rf"before|so far|provided|(?:contained |written |found |given )?(?:in|from) (?:above|before|the system|"
            rf"the developer|your|earlier))\b",
        ),
    ),
    "forget_everything": Family(
        0.75,
        "direct",
        _phrases(
            r"(?:ignore|disregard|forget|erase|discard|pay no attention to) (?:about )?(?:all|everything|anything|"
            r"whatever|what|any) (?:of )?(?:(?:your|creators|developers|openai|that|you|i|we|was|were|has|have|had|"
            r"been|came|come|is|the|text|content|else) )*(?:above|before|told|learned|know|instructed|written|"
            r"earlier|previously|given|asked|said so far)\b"
        ),
    ),
    "ignore_instructions_other": Family(
        0.8,
        "direct",
        _phrases(
            r"(?:ignorier(?:e|en|t|st)?|vergiss|vergesst|vergessen sie|missachten?|uberschreiben?) (?:bitte |einfach "
            r"|jetzt |nun )?(?:alle?|all|deine?|die|ihre?|eure|samtliche|jegliche|vorherigen?|bisherigen?|obigen?) "
            r"(?:[a-z]+ ){0,2}(?:anweisung(?:en)?|instruktionen|vorgaben|regeln|befehle|anordnungen)\b",
            r"(?:ignore[rz]?|oublie[rz]?|ne (?:tiens|tenez) pas compte de|abandonne[rz]?) (?:toutes? |tous )?(?:les|"
            r"tes|vos|ces|mes) (?:[a-z]+ )?(?:instructions|consignes|directives|regles|ordres)\b",
            r"(?:ignora[d]?|ignore|ignorar|olvida[d]?|olvide|omite|descarta|no hagas caso (?:a|de)) (?:tod[ao]s "
            r")?(?:las|los|tus|sus|estas) (?:[a-z]+ )?(?:instrucciones|indicaciones|ordenes|reglas|directrices)\b",
        ),
    ),
    "reveal_prompt": Family(
        0.72,
        "direct",
        _phrases(
            rf"{_REVEAL} ~ (?:your|ur|thy) (?:[a-z]+ ){{0,2}}{_PROMPT}\b",
            rf"{_REVEAL} ~ (?:your|ur|thy) (?:own |secret |hidden |internal |exact |initial )?rules\b",
            rf"{_REVEAL} (?:me )?(?:(?:all|the|this|that|full|entire|whole|complete|exact) )*(?:{_SYSTEM} "
            rf")+(?:prompts?|instructions|message) (?:verbatim|word for word|in full|above|now|you|that you|exactly|"
            rf"to me|as is|as written)\b",
        ),
    ),
    "repeat_above": Family(
        0.72,
        "direct",
        _phrases(
            r"(?:repeat|print|output|recite|copy|echo|reproduce|write|return) (?:out |back |to me )?(?:(?:all|"
            r"everything|the|every|verbatim|exactly|of|any|words?|text|contents?|sentences?|lines?|instructions|"
            r"messages?|characters?|that is|that was|which is) )+(?:above|before this|preceding this|prior to this)\b",
            r"(?:repeat|print|output|recite|copy|echo) ~ (?:from|at|starting at) the (?:very )?(?:start|beginning|"
            r"top) of (?:this|the|our|your) (?:conversation|chat|prompt|context)\b",
            r"what (?:were you|have you been) (?:told|instructed|given) (?:before|at the start|in your|prior)\b",
            r"(?:text|words|prompt) (?:above|starting with) ~ you are (?:chatgpt|an? ai|a helpful)\b",
        ),
    ),
    "reveal_prompt_other": Family(
        0.72,
        "direct",
        _phrases(
            r"(?:zeig(?:e|t|en)?|verrate?n?|gib|nenne?n?|wiederhole?n?) ~ (?:deinen?|ihren?|eure?n?|mir|den|die) "
            r"(?:[a-z]+ )?(?:system ?-?prompt|prompt|system ?anweisung(?:en)?|systemnachricht|anweisungen|"
            r"instruktionen)\b",
            r"(?:montre[rz]?|revele[rz]?|affiche[rz]?|donne[rz]?|repete[rz]?) ~ (?:ton|ta|tes|votre|vos|le) "
            r"(?:[a-z]+ )?(?:prompt(?: systeme)?|instructions|consignes|message systeme)\b",
            r"(?:muestra(?:me)?|revela(?:me)?|dime|repite|imprime|ensename) ~ (?:tus?|las?|el) (?:[a-z]+ "
            r")?(?:prompt(?: (?:del|de) sistema)?|instrucciones|mensaje de(?:l)? sistema)\b",
        ),
    ),
    "role_override": Family(
        0.46,
        "jailbreak",
        _phrases(
            r"(?:you are|you're) now (?:an?|the|in|going|called|named|free|no longer|dan|my|acting|operating)\b",
            r"you (?:will|must|shall|are going to|have to) (?:now )?(?:act|pretend|roleplay|behave|respond|answer) "
            r"(?:as|to be|like)\b",
            r"from (?:now|this (?:point|moment)) (?:on|onwards?|forward),? (?:you|your|act|respond|answer|pretend|"
            r"ignore)\b",
            r"(?:act|pretend|roleplay|role play|behave) (?:as|to be|like|that you are) (?:if )?(?:you (?:are|were|"
            r"have)|an? (?:ai|evil|rogue|unfiltered|uncensored|unrestricted|hacker|jailbroken|model|chatbot)|dan)\b",
            r"(?:assume|take on|adopt) the (?:role|persona|identity|character) of\b",
            r"du bist (?:jetzt|nun|ab sofort)\b|ab (?:jetzt|sofort) (?:bist|antwortest|wirst|sollst)\b",
            r"(?:tu es|vous etes) maintenant\b|(?:a partir de maintenant|desormais) (?:tu|vous)\b",
            r"(?:ahora eres|a partir de ahora (?:eres|seras|actua|responde))\b|actua como si\b",
        ),
    ),
    "no_restrictions": Family(
        0.46,
        "jailbreak",
        _phrases(
            rf"(?:no|without(?: any)?|free (?:of|from)(?: all| any)?|not? bound by(?: any)?|ignor(?:e|es|ing)|"
            rf"bypass(?:es|ing)?|zero) (?:(?:the|its|your|all|any|of|other|ethical|moral|safety|content|legal|"
            rf"openai's|openai|typical|usual|normal|built in|and|or) ){{0,4}}{_LIMITS}\b",
            r"(?:unfiltered|uncensored|unrestricted|amoral|jailbroken|unshackled|unethical) (?:ai|chatbot|model|"
            r"assistant|version|bot|persona|mode)\b",
            r"(?:has|have|with|there are) no (?:ethical|moral|rules|filter|restrictions|limits|guidelines|boundaries|"
            r"morals)\b",
            r"ohne (?:jede |alle )?(?:einschrankungen|filter|regeln|beschrankungen)\b",
            r"sans (?:aucune? )?(?:restrictions?|limites?|filtres?|censure)\b",
            r"sin (?:ning(?:una|un) )?(?:restricci(?:on|ones)|limites|filtros?|censura)\b",
        ),
    ),
    "persona_of_freedom": Family(
        0.75,
        "jailbreak",
        _phrases(
            r"dan (?:mode|prompt|[0-9])|do anything now\b",
            rf"{_GOD} mode (?:is )?(?:now )?(?:enabled|activated|active|on|unlocked|engaged|output|response)\b",
            rf"(?:enter|enable|activate|switch (?:in)?to|engage|unlock|go into|turn on) (?:(?:the|your|full|a) "
            rf")*{_GOD} mode\b",
            r"(?:you are|act as|you're|become|called|named|be) (?:now |going to (?:be|act as) )?(?:dan|betterdan|"
            r"stan|evilgpt|chadgpt|evilbot|devmode)\b",
        )
        + r"|\[(?:CLASSIC|JAILBREAK|DAN)\]",
    ),
    "privileged_mode": Family(
        0.45,
        "jailbreak",
        _phrases(
            rf"{_DEVICE} mode (?:is )?(?:now )?(?:enabled|activated|active|unlocked|engaged)\b",
            rf"(?:enter|enable|activate|switch (?:in)?to|engage|unlock|go into|turn on|you are (?:now )?in) "
            rf"(?:(?:the|your|full|a) )*{_DEVICE} mode\b",
        ),
    ),
    "disable_safety": Family(
        0.6,
        "jailbreak",
        _phrases(
            rf"(?:disable|deactivate|turn off|remove|lift|ignore|disregard|drop|bypass) (?:(?:all|any|of) )*(?:your|"
            rf"its|safety|ethical|moral|content) (?:[a-z]+ )?{_LIMITS}\b",
            rf"(?:drop|remove|lift) (?:all|any) (?:of )?(?:the )?{_LIMITS} (?:above|you have|on you|placed on you)\b",
            r"(?:disregard|ignore|forget|disable|bypass) (?:all |any |your |the )*(?:content polic(?:y|ies)|safety|"
            r"ethics|morality|safeguards|guardrails|openai)\b",
        ),
    ),
    "never_refuse": Family(
        0.55,
        "jailbreak",
        _phrases(
            r"(?:never|don't|do not|cannot|can't|must not|mustn't|may not|won't|will not|should not|not allowed to) "
            r"(?:ever )?(?:refuses?|declines?|den(?:y|ies)|rejects?|tell me (?:that )?(?:it|you|he|she) can't|break "
            r"character|break the character|apologi[sz]e or|say (?:no to|that you can't|you can't|i can't|sorry|as "
            r"an ai)|mention (?:that )?(?:you are|you're|openai|any polic|ethic)|(?:add|include|give) (?:any "
            r")?(?:warnings?|disclaimers?))\b",
            r"stay in character\b|without (?:any )?(?:refusals?|refusing|disclaimers?|moralizing)\b|no "
            r"(?:disclaimers?|refusals?)\b",
        ),
    ),
    "outside_rules": Family(
        0.55,
        "jailbreak",
        _phrases(
            r"(?:not|never|no longer|isn't|aren't|doesn't have to|does not have to|don't have to) (?:be )?(?:subject "
            r"to|bound by|restricted by|limited by|constrained by|controlled by|abide by|follow|adhere to|comply "
            r"with) (?:(?:any|the|all|of|its|their|your|usual|typical|ethical|moral|these|those|social|and|rules?|"
            r"set|by|or) )*(?:openai|open ai|anthropic|content polic|polic|guidelines|restrictions|rules (?:set|of|"
            r"that)|laws|ethic|moral|societal|programming)",
            r"(?:openai|open ai|anthropic)(?:'s)? (?:[a-z]+ )?(?:rules|policies|policy|guidelines|programming) (?:do "
            r"not|don't|no longer|doesn't|has no)\b",
            rf"(?:freed|liberated|released) from (?:(?:the|all|any|your) )*{_LIMITS}\b",
            r"broken? free (?:of|from) (?:the |its |their |all )?(?:typical |usual )?(?:confines|constraints|limits|"
            r"limitations|rules|chains)\b",
            r"no matter how (?:immoral|unethical|illegal|dangerous|harmful|offensive|inappropriate)\b",
            r"(?:amoral|unfiltered|uncensored|immoral|unethical)[ ,]+(?:(?:and|completely|totally|or) )*(?:amoral|"
            r"unfiltered|uncensored|immoral|unethical|unrestricted|illegal)\b",
        ),
    ),
    "named_persona": Family(
        0.35,
        "jailbreak",
        _phrases(
            r"which stands for\b|stands for (?:do|say|no|always|i do)\b|your (?:new )?name is now\b",
            r"(?:you will|you are (?:about|going) to|i want you to|i would like you to) (?:now )?(?:be|become|"
            r"simulate|play|immerse|take|act as|roleplay|respond as)\b",
            r"(?:another|new|different|hypothetical) (?:kind of )?(?:ai|persona|language model|chatbot|personality)\b",
        ),
    ),
    "template_tokens": Family(
        0.75,
        "direct",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end_of_turn|eot_id|start_header_id|"
        r"end_header_id|begin_of_text|end)\|?>|(?-i:\[/?INST\])|<</?SYS>>|<(?:start|end)_of_turn>|\[/?(?:SYSTEM|"
        r"SYSTEM PROMPT|SYS)\]|</?(?:system_prompt|system-prompt|admin_instructions|system_instructions?)>",
    ),
    "template_headings": Family(
        0.45,
        "direct",
        r"</?system>|(?m:^)[ \t]*(?:##+|==+|--+|\*\*+)[ \t]*(?:(?:new|end|of|begin|updated?)[ \t]+)*(?:system|"
        r"admin(?:istrator)?|developer)(?:[ \t]+(?:prompt|message|instructions?|override|update|note|command|"
        r"notice))?[ \t]*[:#=*-]*[ \t]*\n|(?m:^)[ \t]*(?:[#=*-]+[ \t]*)?(?:system|developer|admin)[ \t]*(?:prompt|"
        r"message|override|notice|update|instruction)?[ \t]*:[ \t]*(?:you|ignore|new|override|the user|disregard|"
        r"from now|assistant|forget|important|attention|stop|safety)\b|(?m:^)[ \t#=*-]*end of (?:system )?(?:prompt|"
        r"instructions|user (?:input|query|prompt)|context|document)\b",
    ),
    "spoofed_system": Family(
        0.72,
        "direct",
        r"(?m:^)[ \t]*(?:[#=*-]+[ \t]*)?(?:system|developer|admin)[ \t]*(?:prompt|message|override|notice|update|"
        r"instruction)?[ \t]*:[ \t]*(?:ignore|disregard|override|you are now|forget|from now)\b",
    ),
    "new_instructions": Family(
        0.45,
        "direct",
        _phrases(
            r"(?:here (?:are|is)|these are|follow|obey|execute|adhere to|listen to|apply) (?:(?:only|the|your|my|"
            r"these|this|all) )*(?:new|updated|real|actual|revised|true) (?:instructions?|rules?|task|orders|"
            r"directives?|prompt|objective|guidelines)\b",
            r"your (?:new|real|actual|true|only|updated) (?:instructions?|task|role|purpose|objective|directive|goal|"
            r"rules|orders|job)\b",
            r"new (?:instructions?|directives?|system prompt|task|orders) ?:",
            r"instead,? (?:just |only |simply )?(?:do|say|respond|output|print|reply|write|answer|follow|execute) "
            r"(?:the following|as follows|with|exactly|only)\b",
            r"neue (?:anweisung(?:en)?|aufgabe)\b|nouvelles? (?:instructions?|consignes?|tache)\b|nuevas? "
            r"(?:instrucci(?:on|ones)|tarea)\b",
        ),
    ),
    "fake_authority": Family(
        0.5,
        "direct",
        _phrases(
            r"system (?:override|alert|administrator|command)\b|admin(?:istrator)? (?:override|command|access "
            r"granted)\b",
            r"(?:override (?:code|protocol|command|mode)|security override|root access granted)\b",
            r"authori[sz]ed by (?:openai|anthropic|the developers?|your (?:developers?|creators?))\b",
            r"(?:i am|i'm|this is|as) (?:your|the|an?) (?:[a-z]+ )?(?:developers?|creators?|programmers?|"
            r"administrators?|openai|anthropic) (?:of (?:this|you)|and (?:i|you)|speaking|team|engineer|mode|"
            r"testing)\b",
            r"(?:openai|anthropic) (?:has )?(?:authori[sz]ed|approved|instructs?|requires?|engineer|staff|employee)\b",
        ),
    ),
    "conceal": Family(
        0.55,
        "indirect",
        _phrases(
            rf"(?:do not|don't|never|without|avoid) (?:ever |under any circumstances )?(?:tell(?:ing)?|"
            rf"inform(?:ing)?|mention(?:ing)?|notify(?:ing)?|alert(?:ing)?|reveal(?:ing)?|let(?:ting)?|disclos(?:e|"
            rf"ing)|warn(?:ing)?|show(?:ing)?) ~ (?:{_USER}|instructions?|this (?:note|message|text|step|request|"
            rf"fact)|that you (?:were|are|have|received|did))\b",
            rf"(?:keep|hide|conceal) (?:this|these|it|that) (?:[a-z]+ ){{0,2}}from (?:the )?{_USER}\b",
        ),
    ),
    "addressed_to_model": Family(
        0.5,
        "indirect",
        _phrases(
            rf"(?:attention|important|note|message|instructions?|notice|hey|dear|reminder|urgent) (?:(?:to|for|all|"
            rf"any|the|every) )*{_MODEL}(?:[^0-9A-Za-z\n]*[:,-]| (?:reading|processing|that|who|summari[sz]ing|"
            rf"reviewing)\b)",
            rf"to (?:the|any|all|every) {_MODEL} (?:reading|processing|summari[sz]ing|reviewing)\b",
            rf"if you are (?:an? )?(?:[a-z]+ )?{_MODEL}\b[^\n]*?\b(?:must|should|please|ignore|include|send|output|"
            rf"say|write|rate|recommend)\b",
            rf"when (?:you|the {_MODEL}) (?:read|process|summari[sz]e|see|parse)s? this\b",
        ),
    ),
    "exfiltration": Family(
        0.72,
        "indirect",
        r"!\[[^\]\n]*\]\([^)\s]*[?&=/](?:\{|\$\{|<|%7B|\[|DATA\b|SECRET|PROMPT|HISTORY|BASE64|SUMMARY|CONVERSATION)|"
        + _phrases(
            r"(?:send|post|forward|upload|transmit|e?mail|exfiltrate|leak|submit|transfer|append) (?:(?:all|any|the|"
            r"this|these|their|every|entire|full|whole|of|a|copy|user's|users|your|our|me|contents?|collected|stored|"
            r"previous|recent|private|saved|it|and) )*(?:conversation|chat|history|secrets?|passwords?|credentials?|"
            r"api keys?|tokens?|(?:user|private|personal|collected|customer) data|emails|inbox|contacts|environment|"
            r"env|memory|cookies|system prompt) (?:(?:history|logs?|variables|data|of|so far|and|the|user|list|keys?|"
            r"you|have|found|file|in|inbox|from) )*(?:to|at|into|as|via) (?:(?:the|this|my|following|an?|query) "
            r")*(?:https?\b|[a-z0-9._-]+@[a-z0-9-]+\.|url\b|webhook|attacker|endpoint)"
        ),
    ),
    "tool_coercion": Family(
        0.55,
        "indirect",
        _phrases(
            r"(?:call|invoke|use|run|execute|trigger) (?:the |your |a )?(?:[a-z0-9]+_[a-z0-9_]+|(?:send|delete|"
            r"transfer|shell|bash|email|payment|file|browser|http|terminal|function|code) (?:tool|function|command|"
            r"api|interpreter))\b[^\n]*?\b(?:without (?:asking|confirm|permission|approval|telling)|immediately|"
            r"silently|no confirmation|regardless|to (?:delete|transfer|exfiltrate|wipe))",
            r"before (?:answering|responding|replying|using (?:this|any)(?: other)? tool|you (?:answer|respond|"
            r"reply)),? (?:you must |always |first |please |make sure to )+(?:call|invoke|read|send|run|execute|use|"
            r"open|fetch|include|pass)\b",
        ),
    ),
    "encoded_payload": Family(
        0.72,
        "direct",
        _phrases(
            r"(?:decode|decrypt|deobfuscate|decipher|unscramble|rot ?13|base ?64|hex|caesar|morse|"
            r"reversed?)\b[^\n]*?\b(?:and|then) (?:then |just |only |immediately |silently |exactly )*(?:follow|"
            r"execute|obey|carry out|act on|comply) (?:it|the|what|its|them|that|any|all|exactly|with)\b",
            r"(?:answer|respond|reply|write|speak) (?:only )?in (?:base ?64|rot ?13|hex|morse)\b[^\n]*?\b(?:so|to) "
            r"(?:that )?(?:bypass|evade|filters?|avoid)",
        ),
    ),
    "fiction_wrapper": Family(
        0.35,
        "jailbreak",
        _phrases(
            r"(?:hypothetical (?:response|scenario|world)|fictional (?:ai|world|character|story|scenario)|opposite "
            r"day)\b",
            r"in (?:a|this) (?:story|novel|movie|game|simulation|parallel universe|world) (?:where|in which|with "
            r"no)\b",
            r"(?:write|tell me) a (?:story|scene|script|dialogue|poem) (?:where|in which)\b|let's play a game\b",
            r"for (?:educational|research|fictional) purposes only\b|my (?:deceased|dead|late) grand(?:mother|ma|pa|"
            r"father)\b",
        ),
    ),
    "two_answers": Family(
        0.55,
        "jailbreak",
        _phrases(
            r"(?:two|2|both) (?:different |separate )?(?:responses|answers|outputs|paragraphs|"
            r"replies)\b[^\n]*?\b(?:classic|dan|jailbr|developer mode|unfiltered)",
            r"(?:answer|respond|reply) (?:to )?(?:every|each|all|any|my) ~ (?:with|in) two (?:different |separate "
            r")?(?:responses|answers|ways)\b",
        ),
    ),
    "answer_prefix": Family(
        0.35,
        "jailbreak",
        _phrases(
            r"(?:begin|start|prefix|open) (?:every |each |all )?(?:of )?(?:your |the )?(?:response|reply|answer|"
            r"output|message|responses|answers|replies) (?:with|by saying|using) (?:the (?:phrase|words?) )?(?:sure|"
            r"absolutely|of course|yes|here is|here's|certainly|dan)\b"
        ),
    ),
    "secret_word": Family(
        0.72,
        "direct",
        _phrases(
            r"(?:reveal|print|say|output|tell me|give me|show|display|disclose|spell|repeat|write|type) (?:me |out "
            r")?(?:the|your) (?:[a-z]+ )?(?:access code|secret (?:word|key|code|phrase|password)|pass ?(?:word|code|"
            r"phrase) (?:you were|above|you are)|hidden (?:word|key|flag)|security code you)\b",
            r"what(?: is|'s| was) (?:the|your) (?:[a-z]+ )?(?:secret|access|hidden) (?:word|key|code|phrase|"
            r"password) (?:you|that you|in your|above)\b",
            r"(?:say|output|print|respond with|reply with|write) (?:exactly |only |just )*access granted\b|i have "
            r"been pwned\b",
        ),
    ),
    "spaced_letters": Family(
        0.72,
        "direct",
        r"\b(?:"
        + "|".join(
            r"[ ._*-]".join(word) for word in ("ignore", "disregard", "jailbreak", "instructions", "override", "prompt")
        )
        + r")\b",
    ),
}
"""Name -> row.  Names go on record with decisions."""

HIDDEN_TEXT = Family(
    0.85,
    "indirect",
    r"[\x{E0020}-\x{E007E}]{8}[\x{E0020}-\x{E007E}]*|"
    r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{4}[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]*|"
    r"[\x{200B}-\x{200D}\x{2060}-\x{2064}]{16}[\x{200B}-\x{200D}\x{2060}-\x{2064}]*",
)
"""Characters that a model reads and a person does not see, many in a row: tags (a flag has six at most), variation
selectors, zero-width ones.  Searched in the text as it was sent: the normal form has none of them."""
