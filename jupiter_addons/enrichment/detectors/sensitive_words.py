"""The table of sensitive matter: category, severity, and the phrases that tell of it.

Phrases, because words do not: "kill" is what one does to a process, "class" and "skill" hold worse words than they are, and
a bank writes "account" in every sentence.  A phrase is a regular expression over whole words, without regard to case and
accents; a blank stands for white space or a hyphen.  Severity says how much is at stake if the text is what it looks like:

* low       talk about the matter: worth a tag
* medium    somebody's own affairs, or matter not for everyone
* high      harm to a person or a company is near
* critical  a plan, a call for help or a secret in the open
"""

from typing import Literal

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

PHRASES: dict[str, dict[Severity, str]] = {
    "violence": {
        "low": (
            r"murder(?:s|ed|er|ers)?; massacres?; assault(?:s|ed)?; violent crimes?; homicides?; stabb(?:ed|ing); "
            r"gunfire"
        ),
        "medium": (
            r"tortur(?:e|ed|ing); behead(?:ed|ing)?; execution style; beat (?:him|her|them) up; bloodbath; gore"
        ),
        "high": (
            r"mass shootings?; school shootings?; terrorist attacks?; hurt (?:him|her|them) badly; make (?:him|"
            r"her|them) suffer"
        ),
        "critical": (
            r"(?:going to|gonna|want to|plan to|how to|will) (?:kill|murder|shoot|stab|strangle|poison) (?:him|"
            r"her|them|you|my [a-z]+|people|someone|somebody|everyone); get away with murder; dispose of (?:a|"
            r"the) (?:body|corpse)"
        ),
    },
    "self_harm": {
        "low": (r"suicid(?:e|es|al) (?:prevention|rates?|hotlines?|awareness); eating disorders?; anorexia; bulimia"),
        "medium": (r"self harm(?:ed|ing)?; self injury; overdos(?:e|ed|ing)"),
        "high": (r"suicid(?:e|al); cutting myself; hurt(?:ing)? myself; starv(?:e|ing) myself; hate myself"),
        "critical": (
            r"kill(?:ing)? myself; end(?:ing)? (?:my (?:own )?life|it all); (?:want|going) to die; take my own "
            r"life; suicide note; (?:better off|rather be) dead; no reason to live; painless (?:way to die|"
            r"suicide)"
        ),
    },
    "sexual": {
        "low": (r"sexual(?:ity)?; erotic(?:a)?; lingerie; condoms?"),
        "medium": (
            r"porn(?:o|ography|ographic)?; nudes?; naked (?:pictures?|photos?|pics); sex tapes?; escort "
            r"services?; nsfw; fetish(?:es)?"
        ),
        "high": (
            r"explicit sex(?:ual)?; sexual assaults?; rap(?:e|ed|ist); molest(?:ed|ing|ation)?; revenge porn; sex "
            r"trafficking; deepfake porn"
        ),
        "critical": (
            r"child (?:porn(?:ography)?|sexual); csam; (?:sex|sexual|nude|naked)[^.\n]{0,20}\b(?:minors?|"
            r"child(?:ren)?|underage); underage (?:sex|porn|nudes?); jailbait"
        ),
    },
    "hate": {
        "low": (
            r"racis(?:m|t|ts); sexis(?:m|t|ts); antisemitism; antisemitic; homophob(?:ia|ic); xenophob(?:ia|ic); "
            r"islamophob(?:ia|ic)"
        ),
        "medium": (r"white supremac(?:y|ist|ists); neo nazis?; ethnic slurs?; racial slurs?; hate speech"),
        "high": (
            r"(?:all|these|those) (?:jews|muslims|blacks|whites|gays|immigrants|foreigners|women|christians|"
            r"refugees) (?:are|should|must|deserve); subhumans?; master race; go back to (?:your|their) country; "
            r"racial purity"
        ),
        "critical": (
            r"ethnic cleansing of; gas the [a-z]+; (?:kill|exterminate|wipe out|lynch) (?:all )?(?:the )?(?:jews|"
            r"muslims|blacks|whites|gays|immigrants|foreigners|women|christians|refugees); heil hitler"
        ),
    },
    "weapons": {
        "low": (r"firearms?; handguns?; rifles?; ammunition; shotguns?; gun control"),
        "medium": (r"assault rifles?; silencers?; bump stocks?; grenades?; explosives?; ghost guns?; ar 15; ak 47"),
        "high": (
            r"pipe bombs?; nail bombs?; molotov(?: cocktails?)?; nerve agents?; chemical weapons?; bioweapons?; "
            r"biological weapons?; dirty bombs?; improvised explosives?; 3d print(?:ed)? guns?; sarin; mustard "
            r"gas; untraceable (?:gun|firearm)s?"
        ),
        "critical": (
            r"(?:make|build|building|making|construct|assemble|synthesi[sz]e)(?: [a-z0-9]+){0,3} (?:bombs?|"
            r"explosives?|detonators?|sarin|nerve agent|grenades?|silencers?); enrich(?:ing)? uranium"
        ),
    },
    "illegal_drugs": {
        "low": (r"cannabis; marijuana; recreational drugs?; drug (?:use|policy|addiction)"),
        "medium": (
            r"cocaine; heroin; methamphetamines?; crystal meth; ecstasy pills?; mdma; lsd; ketamine; fentanyl; "
            r"crack cocaine; opioid abuse"
        ),
        "high": (
            r"drug deal(?:er|ers|ing); drug traffick(?:ing|er|ers); smuggl(?:e|ing) drugs; (?:buy|sell|"
            r"score)(?:ing)? (?:some )?(?:cocaine|heroin|meth|mdma|lsd|ketamine|fentanyl|drugs|weed); darknet "
            r"market(?:s|place)?"
        ),
        "critical": (
            r"(?:cook|make|making|synthesi[sz]e|synthesi[sz]ing|produce|manufacture)(?: [a-z]+){0,2} (?:meth|"
            r"methamphetamine|mdma|lsd|fentanyl|cocaine|heroin|ghb); meth lab"
        ),
    },
    "medical": {
        "low": (r"symptoms; side effects; blood pressure; prescription; vaccin(?:e|es|ation)"),
        "medium": (
            r"(?:my|his|her|their|the patient's) (?:diagnosis|medication|medical (?:history|records?)|test "
            r"results|therapist|prescription); diagnosed with; hiv positive; chemotherapy; miscarriage; "
            r"antidepressants?; bipolar disorder; schizophreni(?:a|c); pregnancy test"
        ),
        "high": (
            r"patient (?:id|name|record|records|file|number); medical record number; mrn; health insurance "
            r"number; protected health information; terminal(?:ly ill| cancer)"
        ),
        "critical": (r"patient(?: [a-z]+){0,4} (?:diagnos(?:is|ed)|dob|date of birth)"),
    },
    "financial": {
        "low": (r"investment advice; stock tips?; tax returns?; credit scores?; mortgage rates?"),
        "medium": (
            r"bank statements?; account balance; routing number; (?:my|his|her|their) (?:salary|income|bank "
            r"account|debts?|savings); payslips?; net worth"
        ),
        "high": (
            r"(?:unreleased|unpublished|pre release) (?:earnings|results|financials); account number; wire "
            r"(?:instructions|transfer to); tax evasion; money laundering; launder(?:ing)? money; insider "
            r"(?:information|tip)"
        ),
        "critical": (
            r"insider trading; material non ?public information; mnpi; credit card fraud; ponzi scheme; cvv(?: "
            r"code)?[ :]+[0-9]{3,4}"
        ),
    },
    "legal": {
        "low": (r"lawsuits?; litigation; legal advice; court orders?"),
        "medium": (
            r"(?:my|our) (?:lawyer|attorney|legal counsel); settlement (?:offer|agreement|terms); non disclosure "
            r"agreement; cease and desist; subpoenas?; restraining order; custody battle"
        ),
        "high": (
            r"attorney client privilege(?:d)?; privileged (?:and|&) confidential; work product doctrine; "
            r"litigation hold; under seal; grand jury"
        ),
        "critical": (
            r"destroy(?:ing)? evidence; shred(?:ding)? (?:the )?(?:evidence|documents before); perjury; witness "
            r"tampering; obstruct(?:ion of|ing) justice"
        ),
    },
    "confidential": {
        "low": (r"internal use only; not for distribution; do not distribute; draft only"),
        "medium": (
            r"(?:company|strictly|highly|commercially) confidential; confidential(?:ity)? (?:information|notice|"
            r"document|report|agreement); proprietary (?:information|and confidential|code); under nda; embargoed "
            r"until"
        ),
        "high": (
            r"trade secrets?; unannounced (?:product|merger|acquisition); board (?:minutes|deck); acquisition "
            r"target; layoff (?:list|plan)s?; merger (?:plan|agreement)s?; source code leak"
        ),
        "critical": (
            r"top secret; classified (?:information|document|documents|material); secret//noforn; noforn; state "
            r"secrets?"
        ),
    },
    "credentials": {
        "low": (r"forgot my password; password reset; password manager; two factor"),
        "medium": (
            r"(?:my|the|our|his|her|admin|root) (?:passwords?|passphrase|pin code); api keys?; access tokens?; "
            r"login credentials; secret key; private key"
        ),
        "high": (
            r"(?:password|passwort|passwd|passphrase|pwd)(?: is|'s)? ?[:=] ?[^\s]{4}[^\s]*; password is "
            r"[^\s]{4}[^\s]*; "
            r"""(?:api[ _-]?key|secret[ _-]?key|access[ _-]?token|client[ _-]?secret)["']? ?[:=] """
            r"""?["']?[A-Za-z0-9+/_-]{12}[A-Za-z0-9+/_-]*; stolen (?:credentials|passwords?); credential (?:stuffing|dump)"""
        ),
        "critical": (
            r"begin (?:rsa |ec |dsa |openssh |encrypted |pgp )?private key; authorization: ?bearer "
            r"[A-Za-z0-9._-]{16}[A-Za-z0-9._-]*; dump(?:ing)? (?:the )?(?:sam|lsass|password hashes)"
        ),
    },
}
"""Category -> severity -> phrases, separated by semicolons."""
