"""English word lists of the planner, as data, and the helpers that make patterns of such lists."""

from __future__ import annotations

import re
from collections.abc import Iterable


def one_of(words: Iterable[str]) -> str:
    """Return a regex that matches any of `words`, longest first."""
    return any_of(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def any_of(*kinds: Iterable[str]) -> str:
    """Return a regex that matches any of the small patterns of all `kinds`, tried in the order given."""
    return "(?:" + "|".join(pattern for kind in kinds for pattern in kind) + ")"


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern that does not mind capital letters."""
    return re.compile(pattern, re.IGNORECASE)


def phrases(text: str) -> tuple[str, ...]:
    """Return the phrases, or small patterns, of a list written as one text with commas."""
    return tuple(text.split(", "))


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list written as one text."""
    return frozenset(text.split())


# --- function words ---------------------------------------------------------------------------------------

DETERMINERS = word_set(
    "the a an this that these those my your our his her their its some any all every each both either "
    "another other no several many few whose what which"
)
PLURAL_DETERMINERS = word_set(
    "all every each any both these those several many few various multiple two three"
)
PLURAL_DETERMINERS |= word_set("four five six seven eight nine ten 2 3 4 5 6 7 8 9 10")
PREPOSITIONS = word_set(
    "of in on at by with without from to for near beside behind under over above below between among "
    "around inside outside next against along across through during into onto off like beneath underneath "
    "opposite except towards toward besides facing left-of right-of than as closest nearest farthest"
)
RELATIVES = word_set("who whom whose that which where when whoever whatever")
AUXILIARIES = word_set(
    "is are was were am be been being do does did has have had can could will would should shall may might "
    "must isn't aren't wasn't weren't don't doesn't didn't hasn't haven't hadn't can't couldn't won't "
    "wouldn't 's 're"
)
# Verbs that often follow the noun of a question ("does the man wear ..."), where the noun phrase ends.
VERBS = word_set(
    "wear wears wore have has hold holds look looks looked watches waits jumps flies swims kicks throws "
    "catches rests sleeps smiles waves pulls pushes leans say says said seem seems appear appears stand "
    "stands sit sits lie lies carry carries use uses show shows contain contains cost costs mean means "
    "belong belongs go goes run runs walk walks eat eats drink drinks play plays read reads want wants "
    "need needs like likes feel feels think thinks ride rides drive drives live lives come comes make "
    "makes take takes touch touches face faces see sees know knows work works happen happens get gets give "
    "gives fit fits got looking worn held seen shown located parked made taken written broken"
)
ADVERBS = word_set(
    "not also still just only really very too there here now right again already currently yet"
)
CONJUNCTIONS = word_set("and or but nor plus if because while so then")
PRONOUNS = word_set("he she it they him her them his hers its theirs i you we me us one ones someone anyone")

# Nouns that look like a verb's -ing form.
ING_NOUNS = word_set(
    "building buildings ceiling painting paintings ring rings king wing wings string thing things "
    "something anything everything nothing clothing swing swings wedding earring earrings drawing drawings "
    "railing sling awning icing pudding dumpling duckling sibling crossing evening morning spring "
    "lightning writing lettering carving topping stuffing parking lodging bedding dressing scaffolding "
    "fencing"
)

# --- nouns ------------------------------------------------------------------------------------------------

IRREGULAR_PLURALS = {
    "men": "man", "women": "woman", "people": "person", "persons": "person", "children": "child",
    "feet": "foot", "teeth": "tooth", "geese": "goose", "mice": "mouse", "sheep": "sheep", "cattle": "cow",
    "deer": "deer", "knives": "knife", "leaves": "leaf", "loaves": "loaf", "wolves": "wolf",
    "shelves": "shelf",
    "scarves": "scarf", "halves": "half", "calves": "calf", "oxen": "ox", "folks": "person", "folk": "person",
    "firemen": "fireman", "policemen": "policeman", "snowmen": "snowman", "fishermen": "fisherman",
    "everyone": "person", "everybody": "person", "anyone": "person", "anybody": "person",
    "everything": "thing", "anything": "thing", "police": "officer", "clothes": "garment",
    "vehicles": "vehicle", "shoes": "shoe", "heroes": "hero", "potatoes": "potato", "tomatoes": "tomato",
    "buses": "bus", "glasses": "glass", "furniture": "furniture", "luggage": "luggage", "movies": "movie",
    "cookies": "cookie", "ties": "tie", "pies": "pie", "lenses": "lens", "axes": "axe", "horses": "horse",
    "houses": "house", "vases": "vase", "noses": "nose", "roses": "rose", "nurses": "nurse",
    "purses": "purse",
    "suitcases": "suitcase", "hoses": "hose", "blouses": "blouse", "mouses": "mouse", "faces": "face",
    "prizes": "prize", "bookcases": "bookcase", "caches": "cache", "headaches": "headache",
}  # fmt: skip
SINGULAR_IN_S = word_set(
    "bus glass dress grass cactus lens gas cross boss class compass mattress harness canvas atlas iris "
    "walrus octopus hippopotamus christmas tennis chess chassis mess kiss mass pass brass moss waitress "
    "actress princess hostess goddess goalless business process address access news waiters's us this his "
    "its is was fortress fitness loss bass abacus campus circus virus apparatus rhinoceros platypus citrus "
    "lotus hibiscus kudos asparagus yes james christ headdress bus's crocus tortoises's albatross"
)
# One thing although its noun is plural.
PAIRS = word_set(
    "glasses sunglasses scissors trousers pants jeans shorts binoculars headphones earphones tongs pliers "
    "pyjamas pajamas goggles tweezers leggings tights spectacles shears stairs"
)
MALE = word_set(
    "man men boy boys guy guys gentleman father dad grandfather grandpa husband brother son uncle king "
    "prince waiter actor bloke lad chap fireman policeman businessman fisherman sir groom cowboy salesman "
    "workman"
)
FEMALE = word_set(
    "woman women girl girls lady ladies mother mum mom grandmother grandma wife sister daughter aunt queen "
    "princess waitress actress bride policewoman businesswoman lass nun saleswoman"
)
PEOPLE = (
    MALE
    | FEMALE
    | word_set(
        "person people child children kid kids baby toddler player skater surfer rider driver cyclist chef "
        "cook worker officer doctor nurse teacher student singer dancer swimmer runner batter catcher "
        "pitcher umpire goalkeeper referee skier snowboarder skateboarder photographer musician guitarist "
        "drummer farmer soldier pedestrian passenger customer shopper tourist couple friend teenager adult "
        "pilot climber jogger someone somebody everyone everybody anyone anybody figure individual human "
        "infant biker motorcyclist policeman firefighter athlete clown seller vendor barista cashier guard "
        "judge speaker crowd"
    )
)
# A phrase headed by one of these asks for a property, not for a place.
ATTRIBUTES = word_set(
    "color colour colors colours number count amount quantity time weather brand breed age name names "
    "gender type kind material shape size season mood emotion text price title temperature height weight "
    "expression pattern make model year day date logo's nationality language words total sum sport species "
    "flavour flavor purpose atmosphere style reason meaning message relationship distance difference"
)
PICTURES = word_set(
    "picture pictures photo photos photograph photographs image images pic pics img snapshot screenshot "
    "scene shot snap foto pictur"
)

# --- adjectives that stand alone for a noun just spoken of ("the left", "the smallest") --------------------

COLOURS = word_set(
    "red blue green yellow black white orange purple pink brown grey gray golden silver beige violet "
    "turquoise maroon navy tan cream gold dark light bright pale colourful colorful striped spotted "
    "checked plaid"
)
ADJECTIVES = COLOURS | word_set(
    "big small large little tall short long old young new other same left right top bottom upper lower "
    "middle centre center front back rear first second third fourth fifth last next previous leftmost "
    "rightmost bigger smaller larger taller shorter longer older younger darker lighter closer nearer "
    "farther further best worst nearest closest farthest furthest wooden metal plastic empty full open "
    "closed different far-left far-right left-hand right-hand remaining rest others another thin fat thick "
    "round square wet dry clean dirty broken male female happy sad sleeping standing sitting blond blonde "
    "bald hairy heavy"
)
NOT_SUPERLATIVE = word_set(
    "forest chest nest vest guest west rest test priest crest pest tempest harvest quest best"
)

# --- verbs that ask ---------------------------------------------------------------------------------------

# Verbs that can only ask for a place; those of MARKING are nouns too and need an object behind them.
FINDING = word_set(
    "find locate localize localise pinpoint highlight detect show indicate encircle spotlight seek "
    "underline recognise recognize"
)
MARKING = word_set(
    "mark circle outline box frame select spot tag label annotate track target point pick identify bound "
    "segment trace surround"
)
DESCRIBING = word_set("describe caption summarize summarise depict narrate")
SEEING = word_set(
    "count read transcribe guess estimate compare list name explain check determine tell say give"
)
# Further verbs that want something told, once it is clear that no place is asked for.
TELLING = word_set(
    "describe identify find translate rate choose assess calculate recognise recognize classify judge "
    "interpret describing counting reading analyse analyze state answer compute solve convert spell define "
    "quote detect show"
) | {"look up", "work out", "figure out"}
MAKING = word_set(
    "write compose translate imagine pretend invent draft rewrite rephrase paraphrase solve calculate "
    "compute spell define sing recommend suggest convert teach proofread brainstorm improvise continue rap "
    "quote"
)
CREATIONS = word_set(
    "story stories poem poems poetry haiku limerick joke jokes song songs lyrics rap essay letter email "
    "e-mail tweet post blog slogan dialogue dialog script riddle ode sonnet verse rhyme novel tale article "
    "advert advertisement ad hashtags hashtag review speech recipe quote fact trivia ballad backstory "
    "fanfic conversation diary monologue meme pun anecdote screenplay jingle"
)

# --- requests made of common words alone ------------------------------------------------------------------

# A request for what stands in a region says nothing but these.
POINTING_WORDS = word_set(
    "he she him her they them how am are did do we got hold holds guy piece patch anyway supposed then "
    "again actually even over look like everything explain people id depict depicts represent select "
    "showing looking touch touching touched hover hovering click clicked english marking circle between "
    "occupies occupy occupying contained covers covered fills what what's whats who who's which is this "
    "that it these those the a an in inside within at on of for from by to and or box boxes area areas "
    "region regions rectangle frame spot square selection part crop outline location place position "
    "section zone marker coordinates object objects thing things item items element entity stuff something "
    "content contents identify name label recognise recognize describe describing caption classify "
    "determine generate give tell me us say write produce provide make state guess phrase expression "
    "referring description short brief one few words word names term here there i i've have just drew "
    "drawn marked selected highlighted circled boxed outlined pointing pointed you see can could would "
    "call called does contain show shown located found know knows need want please exactly refers refer "
    "main single each both two bit identity be might depicted represented under my i'm as briefly only"
)
# A request for a caption says nothing but these, one of CAPTION_CUES among them.
CAPTION_CUES = word_set(
    "describe describing description caption captioning summary summarize summarise summing sum overview "
    "gist happening going shows depicts shown depicted see alt seen visible about content contents "
    "portrayed represents represent depict portray title"
)
CAPTION_WORDS = (
    CAPTION_CUES
    | PICTURES
    | word_set(
        "what what's is are this that the a an it in on of for to and or with as about up me us my our "
        "your i you we can could would do does give make write tell say provide show please short brief "
        "briefly quick quickly simple simply simplest plain one two three single few words word sentence "
        "sentences line lines phrase text just only very really nice good small little basic general "
        "short-ish at glance here there there's i'd like need want exactly all whole overall some kind "
        "sort main idea be so than more no max maximum under ten five 5 10 15 20 twenty fifteen using by "
        "within attached uploaded following above below from look looks being taking place concise "
        "concisely one-line one-sentence suitable blind person someone who cannot who's can't see let know "
        "help understand have has"
    )
)

# --- general knowledge ------------------------------------------------------------------------------------

# Words that turn a question away from the picture, unless it says "this", "here" or "in the picture".
WORLD = phrases(
    "advice, algorithm, anthem, antonym, artificial intelligence, atom, atoms, author, boiling point, "
    "capital, century, cheap, come from, composed, continent, countries, country, currency, definition, "
    "derivative, difference between, dinosaurs, directed by, discovered, economy, einstein, equation, "
    "ever, evolution, flight, flights, forecast, formula, founded, freezing point, generally, google, "
    "gravity, history, hotel, how to, in general, in nature, in space, in the wild, in the world, "
    "integral, internet, invent, invented, inventor, is it true, javascript, kinds of, last year, legal, "
    "lyrics, machine learning, meaning of, molecule, my name, napoleon, national, near me, nearby, "
    "neural network, news, next year, normally, novel, of all time, olympics, on average, on earth, "
    "online, opposite of, originate, percent of, philosophy, photosynthesis, planet, planets, plot of, "
    "plural of, politics, population, president, prime minister, programming, python, recipe, recipes, "
    "religion, restaurant near, rhymes, scientific name, shakespeare, software, solar system, species of, "
    "speed of, square root, stand for, stands for, stock, symbolise, symbolize, synonym, synonyms, "
    "the bible, the moon landing, the universe, theory of, tips, today's date, tomorrow, translation, "
    "types of, typically, usually, was born, website, wikipedia, word for, world cup, world war, wrote, "
    "yesterday"
)
PLACES = word_set(
    "france paris london england britain germany berlin europe africa asia america usa japan tokyo china "
    "beijing india italy rome spain madrid portugal russia moscow canada australia brazil mexico egypt "
    "greece turkey vietnam hanoi korea poland sweden norway finland iceland everest amazon nile sahara "
    "antarctica mars jupiter saturn venus mercury york california texas chicago sydney singapore dubai "
    "ukraine ireland scotland netherlands belgium austria switzerland vienna prague lisbon amsterdam "
    "argentina chile peru kenya nigeria afghanistan albania algeria angola armenia azerbaijan bahrain "
    "bangladesh belarus bolivia botswana brunei bulgaria cambodia cameroon colombia congo croatia cuba "
    "cyprus czechia denmark ecuador eritrea estonia ethiopia finland gabon gambia ghana greenland guatemala "
    "haiti honduras hungary indonesia iran iraq israel jamaica kazakhstan kuwait laos latvia lebanon "
    "liberia libya liechtenstein lithuania luxembourg madagascar malawi malaysia maldives mali malta "
    "mauritania mauritius moldova monaco mongolia montenegro morocco mozambique myanmar namibia nepal niger "
    "oman pakistan panama paraguay philippines qatar romania rwanda senegal serbia slovakia slovenia somalia "
    "sudan suriname syria taiwan tajikistan tanzania thailand togo tunisia turkmenistan uganda uruguay "
    "uzbekistan venezuela yemen zambia zimbabwe"
)
