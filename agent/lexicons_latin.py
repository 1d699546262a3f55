"""Keyword tables of languages in Latin script."""

# ruff: noqa: RUF001 - Turkish has a dotless i of its own

from __future__ import annotations

from .lexicons import Lexicon

LATIN: dict[str, Lexicon] = {
    "fr": Lexicon(
        marks=(
            "le la les l' un une des du de est sont ou sur dans que qu'est qu'est-ce ce cette cet ces quel "
            "quelle combien il elle y a-t-il avec pour moi s'il vous te plait et en qui d' c'est je tu "
            "vous image au aux est-ce merci bonjour salut"
        ),
        where=r"ou (?:est|sont|se|peut|y|vois|trouve|puis)|ou\b.*\?|localisation|emplacement de|position d",
        find=r"(?:re)?trouve|montre|localise|repere|indique|entoure|detecte|encadre|pointe|cherche|"
        r"surligne|marque|designe|situe|signale|identifie|je cherche|selectionne",
        many=r"tous|toutes|chaque|les\b|ou sont|ou se trouvent|des\b|chacun",
        describe=r"decri|legende|resume|description|titre|raconte(?:-moi)? ce qu",
        detail=r"detail|precis|cadre|boite|rectangle|position|emplacement|coordonnee|localis|encadr|"
        r"minutieu|complete",
        picture=r"image|photo|scene|dessin|cliche|tableau",
        overview=r"que (?:vois|voyez|voit|montre|represente)|qu'est-ce (?:que tu vois|que vous voyez|"
        r"qu'on voit|qui se passe|qu'il y a (?:sur|dans) (?:l'|la|cette) ?(?:image|photo)|que (?:cette|l'|"
        r"la) ?(?:image|photo|montre))|qu'y a-t-il (?:sur|dans) (?:l'|la|cette) ?(?:image|photo)|"
        r"que se passe|de quoi s'agit|il y a quoi sur",
        this=r"qu'est-ce que c'est|c'est quoi|qu'est ce|quel est (?:cet|ce)|qui est-ce|nomme|identifie|"
        r"qu'y a-t-il|qu'est-ce qu'il y a|ca",
        question=r"est-ce|qu|combien|comment|pourquoi|y a|a-t|est-il|compte|lis\b|porte-t|ou\b",
        talk=r"merci|bonjour|salut|bonsoir|au revoir|coucou|qui es|qui etes|"
        r"que (?:peux|sais|pouvez|savez)|ca va|comment (?:vas|allez|t'appelles)|super|parfait|genial|"
        r"tu (?:es|parles|peux)|parle[sz]|d'accord",
        make=r"ecri[st]|redige|invente|tradui|compose|poeme|histoire|blague|chanson|imagine|recette",
        world=r"capitale|president|population|invente|monde|siecle|pays|guerre|monnaie|planete|en general|"
        r"a quelle distance|histoire de",
        lead=r"(?:et|ou)(?: pour| alors)?",
    ),
    "de": Lexicon(
        marks=(
            "der die das den dem des ein eine einen einem ist sind wo wer was wie auf im in mit und bitte "
            "mir zeig zeige bild foto finde gibt es ich du sie er nicht welche welcher welches viele hat "
            "trägt von für zu alle danke hallo kannst"
        ),
        where=r"wo\b|position|standort|lage|an welcher stelle",
        find=r"find|zeig|markier|lokalisier|such|erkenn|umrand|einkreis|kreise|rahm|deute|entdeck|"
        r"ich suche|hebe|umkreis|identifizier|wähl|wahl|lokalisiere|kennzeichne",
        many=r"alle|jede|samtliche|wo sind|wo befinden|die \w+(?:en|er|s)\b|beide",
        describe=r"beschreib|bildunterschrift|untertitel|bildbeschreibung|fasse|zusammenfass|schilder|"
        r"erzahl.*bild",
        detail=r"detail|ausfuhrlich|genau|rahmen|box|kasten|position|koordinat|einzelheit|umrand|"
        r"lokalisier|markier|grundlich|umfassend",
        picture=r"bild|foto|aufnahme|szene|photo|abbildung",
        overview=r"was (?:siehst|sieht|sehen|zeigt|ist|gibt es|passiert|geschieht|"
        r"kann man)\b(?:[\w ]{0,20})?(?:bild|foto|hier|du\b|man\b|sie\b|aufnahme)|"
        r"was (?:siehst|zeigt|passiert|geschieht)|worum geht",
        this=r"was ist (?:das|dies|hier|in|darin)|wer ist das|benenn|nenn|identifizier|"
        r"was (?:befindet|steht|siehst)|das\b|wie heisst",
        question=r"ist|sind|hat|haben|was|wer|wie|welch|warum|wann|gibt|tragt|kann|zahl|lies|worauf|womit|"
        r"steht|sitzt|wessen|wem|wen",
        talk=r"danke|hallo|guten|tschuss|hi\b|servus|wer bist|was kannst|wie geht|wie heisst du|super|"
        r"toll|bist du|kannst du (?:deutsch|sprechen)|vielen|auf wiedersehen|prima|ok\b",
        make=r"schreib|ubersetz|erfinde|dichte|gedicht|geschichte|witz|lied|rezept|"
        r"erzahl mir (?:einen|eine)",
        world=r"hauptstadt|prasident|bevolkerung|erfunden|welt|jahrhundert|krieg|wahrung|planet|kanzler|"
        r"im allgemeinen|erfinder|land\b|lander",
        lead=r"und(?: was ist mit| wo ist)?",
    ),
    "es": Lexicon(
        marks=(
            "el la los las un una unos de del es son esta estan donde que quien cuantos cuantas hay en con "
            "por favor y lo se su como cual imagen foto encuentra muestra hombre mujer perro gato para "
            "esto gracias hola puedes me tiene al"
        ),
        where=r"donde|ubicacion|posicion|localizacion",
        find=r"encuentr|encontrar|muestr|mostrar|localiz|senal|marc|busc|indic|rode|detect|resalt|ubic|"
        r"selecciona|identific|ensena",
        many=r"tod[oa]s|cada|los\b|las\b|donde estan|cuantos",
        describe=r"descri|leyenda|resum|pie de foto|titulo|cuentame (?:lo que|que)",
        detail=r"detall|minucios|recuadro|caja|cuadro|posicion|ubicacion|coordenada|localiz|marcando|"
        r"completa|exhaustiv|senalando",
        picture=r"imagen|foto|escena|dibujo",
        overview=r"que (?:ves|se ve|muestra|hay en (?:la|esta) (?:imagen|foto)|pasa|esta pasando|aparece|"
        r"sucede|ocurre|representa)|de que trata|que puedes ver",
        this=r"que es (?:esto|eso|este|esta)|quien es|nombra|identifica|que hay|como se llama|esto|"
        r"que objeto",
        question=r"que|quien|cuant|como|cual|cuando|hay|esta|es\b|son\b|tiene|lleva|lee\b|cuenta\b|puede",
        talk=r"gracias|hola|buen[oa]s|adios|quien eres|que puedes hacer|que sabes|"
        r"como (?:estas|te llamas)|genial|perfecto|hablas|eres|muchas gracias|hasta|vale\b",
        make=r"escrib|traduc|inventa|poema|cuento|chiste|cancion|historia|receta|compon",
        world=r"capital|presidente|poblacion|invento|mundo|siglo|pais|guerra|moneda|planeta|en general",
        lead=r"(?:y|e)(?: que tal| que hay de)?",
    ),
    "it": Lexicon(
        marks=(
            "il lo la gli le un una di del della dei delle è sono dove che chi cosa quanti quante c'è ci "
            "nella nel nell' sul con per favore e mostra trova immagine foto questa questo l'uomo come "
            "quale grazie ciao puoi mi tutti tutte dov'è i ha qual"
        ),
        where=r"dov|posizione|ubicazione",
        find=r"trova|mostra|localizza|indica|evidenzia|segna|cerca|cerchia|rileva|individua|identifica|"
        r"seleziona|fammi vedere",
        many=r"tutt[ie]|ogni|gli\b|dove sono|i\b|le\b|dove si trovano|ciascun",
        describe=r"descri|didascalia|riassum|titolo|raccont(?:a|ami) cosa",
        detail=r"dettagli|minuzios|riquadr|posizion|coordinat|scatol|localizz|accurat|completa|cornice|"
        r"rettangol|approfond",
        picture=r"immagine|foto|scena|disegno|figura",
        overview=r"(?:che )?cosa (?:vedi|si vede|mostra|succede|c'e (?:in|nell|nella|sulla)|"
        r"sta succedendo|rappresenta|raffigura)|che succede",
        this=r"(?:che )?cos'e|chi e|nomina|identifica|cosa c'e|come si chiama|questo|che oggetto|cosa e",
        question=r"che|chi|cosa|quant|come|qual|quando|perche|c'e|e\b|sono|ha\b|conta|leggi|indossa",
        talk=r"grazie|ciao|buon|salve|arrivederci|chi sei|cosa (?:puoi|sai) fare|come (?:stai|ti chiami)|"
        r"perfetto|ottimo|sei\b|parli|mille grazie",
        make=r"scriv|traduc|inventa|poesia|storia|barzelletta|canzone|componi|ricetta",
        world=r"capitale|presidente|popolazione|inventato|mondo|secolo|paese|guerra|moneta|pianeta|"
        r"in generale|inventore",
        lead=r"(?:e|ed)(?: invece)?",
    ),
    "pt": Lexicon(
        marks=(
            "o a os as um uma de do da dos das é são onde que quem quantos quantas há no na nos nas com "
            "por favor e mostre encontre imagem foto esta este isto tem está estão homem mulher cachorro "
            "gato para obrigado obrigada olá oi você me qual não ao pode cao"
        ),
        where=r"onde|cade|localizacao|posicao",
        find=r"encontr|mostr|localiz|marqu|ache|procur|indi(?:que|car)|circul|detect|destaqu|apont|"
        r"identifi|selecion|ach[ea]r",
        many=r"tod[oa]s|cada|os\b|as\b|onde estao|onde ficam",
        describe=r"descrev|legenda|resum|descri|titulo|conte o que",
        detail=r"detalh|minucios|caixa|posic|coordenada|localiz|quadro|retangul|complet|marcando|indicando",
        picture=r"imagem|foto|cena|desenho|figura|retrato",
        overview=r"o que (?:voce ve|ves|se ve|ha n[ao]|tem n[ao]|mostra|esta acontecendo|acontece|aparece|"
        r"esta n|da para ver|representa|podemos)|do que se trata",
        this=r"o que e (?:isto|isso|este|esta)|quem e|nomeie|identifique|o que ha|o que tem|como se chama|"
        r"isto|isso|que objeto",
        question=r"que|quant|como|qual|quando|ha\b|tem|esta|e\b|sao|conte|leia|usa|existe",
        talk=r"obrigad|ola|oi\b|bom dia|boa |tchau|quem e voce|o que voce (?:pode|sabe|faz)|tudo bem|"
        r"valeu|perfeito|voce (?:e|fala|pode)|otimo|adeus|quem es tu",
        make=r"escrev|traduz|invente|poema|historia|piada|cancao|musica|receita|componha",
        world=r"capital|presidente|populacao|inventou|mundo|seculo|pais\b|guerra|moeda|planeta|em geral|"
        r"inventor",
        lead=r"e(?: quanto a[os]?)?",
    ),
    "nl": Lexicon(
        marks=(
            "de het een is zijn waar wat wie hoe op in met en alsjeblieft alstublieft mij toon vind foto "
            "afbeelding welke hoeveel er deze dit staat heeft draagt van voor te alle hond man vrouw dank "
            "je hallo kun ben u"
        ),
        where=r"waar\b|locatie|positie|plaats van",
        find=r"vind|toon|laat|zoek|markeer|wijs|lokaliseer|omcirkel|detecteer|geef aan|omkader|selecteer|"
        r"spoor|herken|ik zoek",
        many=r"alle|elke|ieder|waar zijn|waar staan|waar bevinden|beide|de \w+(?:en|s)\b",
        describe=r"beschrijf|beschrijving|bijschrift|samenvat|vat|onderschrift|"
        r"vertel (?:me )?(?:kort )?(?:over|wat)",
        detail=r"detail|uitgebreid|gedetailleerd|kader|positie|locatie|coordina|vak|nauwkeurig|uitvoerig|"
        r"grondig|volledig|markeer|plek",
        picture=r"foto|afbeelding|plaatje|beeld|scene|prent",
        overview=r"wat (?:zie|is er|staat er|toont|gebeurt|laat|is hier|zien)[\w ]{0,20}(?:foto|"
        r"afbeelding|plaatje|je\b|hier|beeld|zien|u\b)|wat gebeurt",
        this=r"wat is (?:dit|dat|hier|er)|wie is (?:dit|dat)|benoem|noem|identificeer|wat zit|dit\b|"
        r"hoe heet",
        question=r"is\b|zijn|heeft|wat|wie|hoe|welk|waarom|wanneer|zit|draagt|staan|tel\b|lees|kan|zie je",
        talk=r"bedankt|dank|hallo|hoi|goede|dag\b|doei|wie ben|wat kun|wat kan je|hoe gaat|hoe heet je|"
        r"prima|mooi|spreek|ben je|tot ziens|oke\b",
        make=r"schrijf|vertaal|verzin|gedicht|verhaal|mop\b|grap|liedje|recept",
        world=r"hoofdstad|president|bevolking|uitgevonden|wereld|eeuw|oorlog|munt\b|planeet|"
        r"in het algemeen|uitvinder|landen",
        lead=r"en(?: hoe zit het met)?",
    ),
    "pl": Lexicon(
        marks=(
            "jest są gdzie co kto jak na w z i proszę pokaż znajdź zdjęcie zdjęciu obraz obrazek obrazku "
            "ile czy ten ta to jaki jaka jaką mężczyzna kobieta pies kot wszystkie się dziękuję cześć mi "
            "dla kim nosi opisz"
        ),
        where=r"gdzie|polozeni|lokalizacj",
        find=r"znajd|pokaz|wskaz|zaznacz|zlokaliz|wykryj|szuk|odszuk|podswietl|obrysuj|oznacz|zakresl|"
        r"wyszuk|zidentyfikuj",
        many=r"wszystk|wszysc|kazd|gdzie sa|gdzie znajduja",
        describe=r"opis|podpis|streszcz|podsumuj|powiedz.*co (?:widzisz|jest)",
        detail=r"szczegol|dokladn|ramk|polozeni|wspolrzedn|prostokat|lokalizac|wyczerpuj|pozycj",
        picture=r"zdjeci|obraz|fotografi|scen|rysun|fotk",
        overview=r"co (?:widzisz|widac|przedstawia|jest na (?:tym )?(?:zdjeci|obraz)|sie dzieje|"
        r"znajduje sie na (?:tym )?(?:zdjeci|obraz)|pokazuje)",
        this=r"co to|kto to|nazwij|co jest|zidentyfikuj|co znajduje|to\b|jak sie nazywa",
        question=r"czy|co\b|kto|ile|jak|dlaczego|kiedy|policz|przeczytaj|w co|komu|do czego",
        talk=r"dzieki|dziekuj|czesc|dzien dobry|dobry|witaj|do widzenia|kim jestes|"
        r"co (?:potrafisz|umiesz|mozesz)|jak sie (?:masz|nazywasz)|super|swietnie|hej|"
        r"czy (?:jestes|mowisz|umiesz)",
        make=r"napisz|przetlumacz|wymysl|wiersz|opowiadani|opowiedz|historyjk|zart|piosenk|przepis|bajk",
        world=r"stolic|prezydent|ludnosc|wynal|swiat|wiek\b|wieku|wojn|walut|planet|panstw|kraj",
        lead=r"a(?: co z)?",
    ),
    "vi": Lexicon(
        marks=(
            "là có không ở đâu của trong bức ảnh này hình cái con người các những tìm hãy cho mô tả gì ai "
            "đang mấy bao nhiêu và màu chiếc với được tôi bạn giúp vị trí cảm ơn xin chào tất cả nào"
        ),
        where=r"o dau|vi tri|cho nao|dau roi",
        find=r"tim|chi ra|danh dau|khoanh|xac dinh|phat hien|dinh vi|chi cho|to sang|hien thi",
        many=r"tat ca|cac\b|nhung\b|moi\b|toan bo|tung\b",
        describe=r"mo ta|chu thich|tom tat|mieu ta|dien ta|tieu de",
        detail=r"chi tiet|khung|vi tri|toa do|hop\b|ky luong|day du|ti mi|cu the|khoanh",
        picture=r"anh|hinh|tranh|buc",
        overview=r"(?:ban )?(?:co the )?(?:nhin )?thay (?:nhung )?gi|"
        r"(?:trong|buc) (?:\w+ ){0,3}(?:anh|hinh)(?: nay)? (?:co (?:nhung )?gi|la gi|the hien gi)|"
        r"chuyen gi|dien ra|co gi trong",
        this=r"(?:day|do|cai nay|vat nay|no|con nay) (?:la|ten)|la (?:cai )?gi|ai day|goi ten|nhan dien|"
        r"co gi",
        question=r"khong\b|gi\b|ai\b|may\b|bao nhieu|nao\b|tai sao|vi sao|the nao|dem|doc|co phai|mau gi|"
        r"dang lam|chua\b|bao gio|khi nao",
        talk=r"cam on|xin chao|chao|ban la (?:ai|gi)|ban (?:co the )?lam (?:duc?oc )?(?:nhung )?gi|"
        r"tam biet|tuyet|khoe khong|ban ten|ban (?:co )?(?:noi|biet)",
        make=r"viet (?:mot |cho |bai |doan )|dich|bai tho|cau chuyen|ke (?:mot |cho )|sang tac|bai hat|"
        r"lam tho|cong thuc",
        world=r"thu do|tong thong|dan so|phat minh|the gioi|the ky|quoc gia|nuoc nao|chien tranh|"
        r"hanh tinh|tien te|nguoi dau tien",
        lead=r"(?:con|the con|va)\b",
    ),
    "tr": Lexicon(
        marks=(
            "nerede nerde bir bu ne kim kaç var mı mi mu mü resimde fotoğrafta resmi fotoğrafı göster bul "
            "adam kadın köpek kedi ve için lütfen tüm bütün nasıl hangi ile olan teşekkürler merhaba şu "
            "sen tarif et"
        ),
        where=r"nere|konum|yeri(?:ni)?\b",
        find=r"bul|goster|isaretle|tespit|belirle|ara\b|cember|sec\b|vurgula|saptay|tani",
        many=r"tum\b|butun|her\b|hepsi|\w+l[ae]r(?:i|in|ini)?\b",
        describe=r"tarif|acikla|betimle|tanimla|altyazi|ozetle|anlat|baslik",
        detail=r"ayrinti|detay|kutu|konum|koordinat|cerceve|uzun|kapsamli",
        picture=r"resim|resmi|gorsel|goruntu|foto|sahne",
        overview=r"(?:resimde|fotografta|gorselde|burada|bu resimde) ne(?:ler)? (?:var|goruyorsun|oluyor|"
        r"gorunuyor)|ne (?:goruyorsun|oluyor)|neler (?:var|goruyorsun|oluyor)",
        this=r"(?:bu|su|o) ne|bu kim|adlandir|burada ne|kutuda ne|bunun adi|nedir|isimlendir|tanimla",
        question=r"m[iu]\b|m[iu]y|ne\b|kim|kac|nasil|hangi|neden|nicin|say\b|oku\b|var m|ne zaman|giyiyor",
        talk=r"tesekkur|merhaba|selam|gunaydin|iyi (?:gunler|aksamlar|geceler)|sen kimsin|ne yapabil|"
        r"nasilsin|hosca|sag ?ol|harika|adin ne|kimsin",
        make=r"yaz\b|cevir|siir|hikaye|fikra|sarki|uydur|tarifi ver|masal|mektup",
        world=r"baskent|cumhurbaskan|nufus|icat|dunya|yuzyil|ulke|savas|para birimi|gezegen",
        lead=r"(?:ya|peki(?: ya)?|ve)",
    ),
}
